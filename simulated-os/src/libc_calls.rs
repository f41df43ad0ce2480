//! The functions of libc that are stood in for. All the unsafe code is here.
//!
//! The linker takes these symbols before those of libc, and `dlsym` finds them first. Each has the signature and the
//! contract of libc's, and hands over to the kernel where the caller is not simulated.
#![expect(unsafe_code, reason = "symbols of libc, with pointers from whoever calls them")]

use std::ffi::{CStr, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::{c_char, c_int, c_long, c_uint, clockid_t, size_t, ssize_t, syscall, time_t, timespec};

use crate::{fill, is_on, now, syncs};

/// Stands in for `getrandom(2)`.
///
/// # Safety
///
/// As libc's: `buffer` has room for `length` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if length > 0 {
        // SAFETY: the caller has that much room there; it is overwritten before it is read, and octets are always valid.
        let octets = unsafe {
            buffer.cast::<u8>().write_bytes(0, length);
            std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
        };
        if fill(octets) {
            return length as ssize_t;
        }
    }
    // SAFETY: the kernel gets what the caller gave.
    unsafe { syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t }
}

/// Stands in for `clock_gettime(2)`.
///
/// # Safety
///
/// As libc's: `at` points to a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, at: *mut timespec) -> c_int {
    let Some(now) = now() else {
        // SAFETY: the kernel gets what the caller gave.
        return unsafe { syscall(libc::SYS_clock_gettime, clock, at) as c_int };
    };
    let told = timespec {
        tv_sec: now.as_secs() as time_t,
        tv_nsec: c_long::from(now.subsec_nanos() as i32),
    };
    // SAFETY: the caller has a `timespec` there.
    unsafe { at.write(told) };
    0
}

/// Stands in for `unlink(2)`.
///
/// # Safety
///
/// As libc's: `path` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's path ends with a zero.
    let name = unsafe { CStr::from_ptr(path) };
    if is_on() && syncs::remove(Path::new(OsStr::from_bytes(name.to_bytes()))) {
        return 0;
    }
    // SAFETY: the kernel gets what the caller gave.
    unsafe { syscall(libc::SYS_unlink, path) as c_int }
}

/// Stands in for `fsync(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(file: c_int) -> c_int {
    if is_on() && syncs::note(file) {
        return 0;
    }
    // SAFETY: the kernel gets what the caller gave.
    unsafe { syscall(libc::SYS_fsync, file) as c_int }
}

/// Stands in for `fdatasync(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(file: c_int) -> c_int {
    if is_on() && syncs::note(file) {
        return 0;
    }
    // SAFETY: the kernel gets what the caller gave.
    unsafe { syscall(libc::SYS_fdatasync, file) as c_int }
}
