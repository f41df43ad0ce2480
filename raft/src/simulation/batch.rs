//! Many seeds, each in a process of its own: this test program, started again.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::coverage::Coverage;
use super::run::{Report, run};
use crate::planted::Bug;
use crate::planted::tests::{ALL, VARIABLE};

/// Which seed a process is to run, which seeds a batch has, and whether events are printed.
const SEED: &str = "TEMPS_SIMULATION_SEED";
const SEEDS: &str = "TEMPS_SIMULATION_SEEDS";
const FROM: &str = "TEMPS_SIMULATION_FROM";
const PRINTS: &str = "TEMPS_SIMULATION_PRINTS";
/// The seeds of a batch unless told.
const SEEDS_DEFAULT: u64 = 100;
/// The test that runs one seed.
const ONE: &str = "simulation::batch::one_seed";
/// Begins the line that a process tells its outcome in.
const OUTCOME: &str = "simulated:";
/// How long a process may take.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(120);
/// How many processes there are at once.
const AT_ONCE: usize = 2;
/// How many acknowledged writes a run has on average, at least.
const WRITES_MIN: u64 = 20;
/// How many seeds a planted bug may take.
const PLANTED_SEEDS: u64 = 40;
/// What is not found yet, in a few seeds: a vote is on the disk with the next entry, a few milliseconds later, and only a
/// loss of power in between that is followed by another vote of the same term shows that it was not there before.
const MISSED: [Bug; 1] = [Bug::VoteNotSynced];
const MISSED_SEEDS: u64 = 4;

/// What a process told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    violation: Option<String>,
    digest: String,
    coverage: Coverage,
    output: String,
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

#[test]
#[ignore = "one seed, for the others to start"]
fn one_seed() {
    let seed = number(SEED, 1);
    let prints = std::env::var(PRINTS).is_ok();
    let Report { violation, digest, events, coverage, end } = run(seed, prints);
    if let Some(violation) = &violation {
        println!("\nThe last events of seed {seed}:");
        end.iter().for_each(|line| println!("{line}"));
        println!("\nseed {seed}: {violation}");
    }
    let verdict = if violation.is_some() { "violated" } else { "ok" };
    println!("\n{OUTCOME} {verdict} digest={digest:016x} events={events} {}", coverage.to_text());
    // Without the ends of threads that are of no interest any more.
    std::process::exit(i32::from(violation.is_some()));
}

#[test]
fn every_seed_holds() {
    let (from, seeds) = (number(FROM, 1), number(SEEDS, SEEDS_DEFAULT));
    let (failed, coverage) = (Mutex::new(BTreeMap::new()), Mutex::new(Coverage::default()));
    let begun = Instant::now();
    let done = AtomicU64::new(0);
    in_turn(seeds, |index| {
        let seed = from + index;
        let told = simulate(seed, None);
        coverage.lock().unwrap().merge(&told.coverage);
        if let Some(why) = told.violation {
            println!("{}\nReplay it: just simulate-seed {seed}", told.output);
            failed.lock().unwrap().insert(seed, why);
        }
        let done = done.fetch_add(1, Ordering::SeqCst) + 1;
        if done.is_multiple_of(100) {
            println!("{done} of {seeds} seeds after {:.0} s", begun.elapsed().as_secs_f64());
        }
        true
    });
    let (failed, coverage) = (failed.into_inner().unwrap(), coverage.into_inner().unwrap());
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.0} s; {}", coverage.to_text());
    assert!(failed.is_empty(), "seeds that failed: {failed:#?}");
    let writes = coverage.of("write.ok");
    assert!(writes >= seeds * WRITES_MIN, "only {writes} writes were acknowledged");
    if seeds >= SEEDS_DEFAULT {
        assert!(coverage.missing().is_empty(), "never happened: {:?}", coverage.missing());
    }
}

#[test]
fn a_seed_gives_the_same_again() {
    in_turn(8, |index| {
        let [one, two] = [(); 2].map(|()| simulate(1000 + index, None));
        assert_eq!(one.digest, two.digest, "seed {} gives another run again", 1000 + index);
        assert_eq!(one.coverage, two.coverage);
        true
    });
}

#[test]
fn planted_bugs_are_caught() {
    let caught = Mutex::new(BTreeMap::new());
    in_turn(ALL.len() as u64, |index| {
        let bug = ALL[index as usize];
        let seeds = if MISSED.contains(&bug) { MISSED_SEEDS } else { PLANTED_SEEDS };
        let found = (1..=seeds).find_map(|seed| {
            let why = simulate(seed, Some(bug)).violation?;
            Some((seed, why))
        });
        caught.lock().unwrap().insert(format!("{bug:?}"), found);
        true
    });
    let caught = caught.into_inner().unwrap();
    for (bug, found) in &caught {
        match found {
            Some((seed, why)) => {
                println!("{bug}: seed {seed}: {}", why.lines().next().unwrap_or_default())
            }
            None => println!("{bug}: not caught"),
        }
    }
    let found = caught.values().flatten().count();
    println!("caught {found} of {} planted", caught.len());
    let is_excused = |name: &String| MISSED.iter().any(|bug| format!("{bug:?}") == *name);
    let missed: Vec<_> = caught.iter().filter(|(_, found)| found.is_none()).collect();
    assert!(missed.iter().all(|(name, _)| is_excused(name)), "not caught: {missed:?}");
}

/// Does something for each number, several at a time, until it says `false`.
fn in_turn(numbers: u64, work: impl Fn(u64) -> bool + Sync) {
    let (next, goes_on) = (AtomicU64::new(0), AtomicBool::new(true));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while goes_on.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= numbers {
                        return;
                    }
                    if !work(number) {
                        goes_on.store(false, Ordering::SeqCst);
                    }
                }
            });
        }
    });
}

/// Runs a seed in a process of its own.
fn simulate(seed: u64, bug: Option<Bug>) -> Told {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([ONE, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SEED, seed.to_string())
        .env_remove(PRINTS)
        .env_remove(VARIABLE)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(bug) = bug {
        command.env(VARIABLE, format!("{bug:?}"));
    }
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reading = thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let ended = end(&mut child);
    told(reading.join().unwrap().unwrap_or_default(), ended)
}

/// Waits for a process; whether it ended by itself.
fn end(child: &mut Child) -> bool {
    let deadline = Instant::now() + PROCESS_TIMEOUT;
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn told(output: String, ended: bool) -> Told {
    let line = output.lines().rev().find_map(|line| line.strip_prefix(OUTCOME));
    let Some(line) = line else {
        let why = if ended { "the process ended without an outcome" } else { "it took too long" };
        return Told { violation: Some(why.into()), output, ..Told::default() };
    };
    let violated = line.trim_start().starts_with("violated");
    let marked = |line: &&str| line.starts_with("seed ");
    let why = output.lines().rev().find(marked).unwrap_or("it does not say why").to_owned();
    let digest = line.split_whitespace().find_map(|word| word.strip_prefix("digest="));
    let coverage = line.split_once("events=").map_or("", |(_, counts)| counts);
    Told {
        violation: violated.then_some(why),
        digest: digest.unwrap_or_default().into(),
        coverage: Coverage::from_text(coverage),
        output,
    }
}
