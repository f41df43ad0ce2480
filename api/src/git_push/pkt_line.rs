//! Git's packet lines (gitprotocol-common(5)): four hexadecimal digits of length, then octets; `0000` ends a section.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The end of a section.
pub(super) const FLUSH: &[u8; 4] = b"0000";
/// The most octets of the list of branches that a push moves.
pub(super) const COMMANDS_BYTES_MAX: usize = 1 << 20;
/// The side band that a Git client shows to its user.
const PROGRESS: u8 = 2;
/// The most octets of text in one packet, so that clients with small packets take them too.
const PROGRESS_BYTES_MAX: usize = 900;

/// A branch or tag that a push wants to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefUpdate {
    /// The commit it shall be at; zeros to delete it.
    pub new: String,
    /// Its full name, such as `refs/heads/main`.
    pub name: String,
}

/// What a push begins with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Commands {
    /// Its octets, for Git itself.
    pub raw: Vec<u8>,
    /// What it wants to move.
    pub updates: Vec<RefUpdate>,
    /// Whether the client shows what comes on the side band.
    pub side_band: bool,
}

/// One packet.
pub(super) fn packet(octets: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", octets.len() + FLUSH.len()).into_bytes();
    packet.extend_from_slice(octets);
    packet
}

/// Packets that make a Git client show a line of text.
pub(super) fn progress(line: &str) -> Vec<u8> {
    let printable = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let mut rest: &str = &line.chars().map(printable).chain(['\n']).collect::<String>();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let (text, later) = rest.split_at(rest.floor_char_boundary(PROGRESS_BYTES_MAX));
        packets.extend(packet(&[&[PROGRESS], text.as_bytes()].concat()));
        rest = later;
    }
    packets
}

/// Reads what a push wants to move, up to the section's end; the pack follows. A body that ends before its first packet
/// wants nothing.
pub(super) async fn read_commands(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Commands> {
    let mut commands = Commands::default();
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length).await {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && commands.raw.is_empty() => {
                return Ok(commands);
            }
            Err(error) => return Err(error),
        }
        commands.raw.extend_from_slice(&length);
        if length == *FLUSH {
            return Ok(commands);
        }
        let octets = payload_len(&length, commands.raw.len())?;
        let mut payload = vec![0; octets];
        input.read_exact(&mut payload).await?;
        commands.take(&payload);
        commands.raw.extend_from_slice(&payload);
    }
}

fn payload_len(length: &[u8; 4], so_far: usize) -> io::Result<usize> {
    let text = std::str::from_utf8(length).ok();
    text.and_then(|text| usize::from_str_radix(text, 16).ok())
        .and_then(|length| length.checked_sub(FLUSH.len()))
        .filter(|octets| so_far + octets <= COMMANDS_BYTES_MAX)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a packet line"))
}

impl Commands {
    /// `<old> <new> <name>`, the first with `\0<capabilities>`.
    fn take(&mut self, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        let (command, capabilities) = text.split_once('\0').unwrap_or((&text, ""));
        self.side_band |= capabilities.split_whitespace().any(|c| c.starts_with("side-band"));
        let mut words = command.split_whitespace();
        if let (Some(_), Some(new), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        {
            self.updates.push(RefUpdate { new: new.into(), name: name.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_push_begins_with_what_it_moves() {
        let (old, new) = ("0".repeat(40), "a".repeat(40));
        let first = format!("{old} {new} refs/heads/main\0report-status side-band-64k agent=git/2");
        let second = format!("{new} {old} refs/heads/gone");
        let mut octets = [packet(first.as_bytes()), packet(second.as_bytes())].concat();
        octets.extend_from_slice(FLUSH);
        let mut input = [octets.as_slice(), b"PACK..."].concat();
        let mut rest = input.as_mut_slice() as &[u8];
        let commands = read_commands(&mut rest).await.unwrap();
        assert_eq!(rest, b"PACK...");
        assert_eq!(commands.raw, octets);
        assert!(commands.side_band);
        let names: Vec<_> = commands.updates.iter().map(|u| (&*u.name, &*u.new)).collect();
        assert_eq!(names, [("refs/heads/main", &*new), ("refs/heads/gone", &*old)]);
    }

    #[tokio::test]
    async fn what_is_no_push_is_refused() {
        assert_eq!(read_commands(&mut &b""[..]).await.unwrap(), Commands::default());
        assert_eq!(read_commands(&mut &b"0000"[..]).await.unwrap().updates, []);
        for bad in [&b"zzzz"[..], b"0001", b"ffff", b"0010abc"] {
            assert!(read_commands(&mut &*bad).await.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_lines_are_split_at_characters() {
        let packets = progress(&"é".repeat(1_000));
        let text = String::from_utf8(packets).unwrap();
        assert_eq!(text.matches('é').count(), 1_000);
        assert_eq!(progress("a\u{1b}[31m"), packet(b"\x02a [31m\n"));
    }
}
