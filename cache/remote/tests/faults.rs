//! Servers that are down, slow, full, closed or lying: results stay right, nothing is lost, nothing hangs, and there is one warning.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use cache::{Lookup, RemoteMode};
use support::{Fault, Machine, Server, When, action, outputs};

/// How many actions there are.
const N: u64 = 6;

/// What a run may be held up by the worst of servers.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tries all cases beside each other: most of them wait.
fn at_once(cases: &[(Fault, When, bool)], check: impl Fn(Fault, When, bool) + Sync) {
    thread::scope(|scope| {
        for &(fault, when, warned) in cases {
            let check = &check;
            scope.spawn(move || check(fault, when, warned));
        }
    });
}

/// A server that has all results.
fn filled() -> Server {
    let server = Server::start();
    assert_eq!(
        Machine::new(&server.url(), RemoteMode::ReadWrite).work(0..N),
        N as usize
    );
    assert_eq!(server.objects().len(), 3 * N as usize);
    server.asked();
    server
}

#[test]
fn the_second_machine_makes_nothing() {
    let server = filled();
    let second = Machine::new(&server.url(), RemoteMode::ReadWrite);
    assert_eq!(second.work(0..N), 0);
    let account = second.account();
    assert_eq!(account.trouble, None);
    assert_eq!(
        (account.results_found, account.blobs_fetched, account.results_sent),
        (N, 2 * N, 0)
    );
    // What was fetched is here now.
    server.fail(Some((Fault::Drop, When::Always)));
    assert_eq!(second.work(0..N), 0);
    let alone = second.store.alone();
    for n in 0..N {
        assert!(matches!(alone.lookup(&action(n).key()), Ok(Lookup::Hit(_))), "{n}");
    }
}

#[test]
fn blobs_come_when_somebody_reads_them() {
    let server = filled();
    let second = Machine::new(&server.url(), RemoteMode::ReadOnly);
    for n in 0..N {
        let Ok(Lookup::Hit(record)) = second.store.lookup(&action(n).key()) else {
            panic!("action {n} is there");
        };
        let document = second.store.read(&record.blobs["document.json"]).unwrap();
        assert_eq!(document, outputs(n)["document.json"]);
    }
    let fetched: Vec<String> = server
        .asked()
        .into_iter()
        .filter(|request| request.starts_with("GET /team/cas/"))
        .collect();
    assert_eq!((fetched.len(), second.account().blobs_fetched), (N as usize, N));
    // A result of which a part is elsewhere is none of a store without a remote.
    assert!(matches!(
        second.store.alone().lookup(&action(0).key()),
        Ok(Lookup::Miss { .. })
    ));
}

/// What a machine may meet when it takes results, and whether that is worth a warning.
const TAKING: [(Fault, When, bool); 16] = [
    (Fault::Drop, When::Always, true),
    (Fault::Drop, When::First, false),
    (Fault::Delay(Duration::from_millis(20)), When::Always, false),
    (Fault::Delay(Duration::from_secs(3)), When::Always, true),
    (Fault::Truncate, When::Always, true),
    (Fault::Truncate, When::First, false),
    (Fault::FlipBlobs, When::Always, true),
    (Fault::FlipRecords, When::Always, true),
    (Fault::OtherBlobs, When::Always, true),
    (Fault::LongBlobs, When::Always, true),
    (Fault::ForgetBlobs, When::Always, true),
    (Fault::OtherRecords, When::Always, true),
    (Fault::Status(429), When::Always, true),
    (Fault::Status(429), When::First, false),
    (Fault::Status(500), When::Always, true),
    (Fault::Status(403), When::Always, true),
];

#[test]
fn whatever_goes_wrong_while_taking_results_they_are_right() {
    at_once(&TAKING, |fault, when, warned| {
        let server = filled();
        server.fail(Some((fault, when)));
        let started = Instant::now();
        let machine = Machine::new(&server.url(), RemoteMode::ReadWrite);
        let made = machine.work(0..N);
        let (account, took) = (machine.account(), started.elapsed());
        assert!(took < PATIENCE, "{fault:?} took {took:?}");
        assert_eq!(account.trouble.is_some(), warned, "{fault:?} {when:?}: {account:?}");
        assert!(warned || made == 0, "{fault:?} {when:?}: {made} made");
        // Once it is in order again, all results can be had, whatever was brought there meanwhile.
        server.fail(None);
        let next = Machine::new(&server.url(), RemoteMode::ReadOnly);
        assert_eq!(
            (next.work(0..N), next.account().trouble),
            (0, None),
            "{fault:?} {when:?}"
        );
    });
}

#[test]
fn whatever_goes_wrong_while_bringing_results_they_are_here() {
    let cases = [
        (Fault::Drop, When::Always, true),
        (Fault::Drop, When::First, false),
        (Fault::Delay(Duration::from_secs(3)), When::Always, true),
        (Fault::RefusePuts(507), When::Always, true),
        (Fault::RefusePuts(403), When::Always, true),
        (Fault::RefusePuts(413), When::Always, true),
        (Fault::RefusePuts(405), When::Always, true),
        (Fault::RefusePuts(503), When::First, false),
    ];
    at_once(&cases, |fault, when, warned| {
        let server = Server::start();
        server.fail(Some((fault, when)));
        let machine = Machine::new(&server.url(), RemoteMode::ReadWrite);
        let started = Instant::now();
        assert_eq!(machine.work(0..N), N as usize, "{fault:?} {when:?}");
        let (account, took) = (machine.account(), started.elapsed());
        assert!(took < PATIENCE, "{fault:?} took {took:?}");
        assert_eq!(account.trouble.is_some(), warned, "{fault:?} {when:?}: {account:?}");
        assert_eq!(machine.work(0..N), 0);
        // Who comes after it finds whole results or none.
        server.fail(None);
        let next = Machine::new(&server.url(), RemoteMode::ReadWrite);
        next.work(0..N);
        assert_eq!(next.account().trouble, None, "{fault:?} {when:?}");
        let last = Machine::new(&server.url(), RemoteMode::ReadOnly);
        assert_eq!(last.work(0..N), 0, "{fault:?} {when:?}");
    });
}

#[test]
fn nothing_is_brought_where_only_reading_is_allowed() {
    let server = Server::start();
    let machine = Machine::new(&server.url(), RemoteMode::ReadOnly);
    assert_eq!(machine.work(0..N), N as usize);
    assert!(server.asked().iter().all(|request| request.starts_with("GET ")));
    assert_eq!(machine.account().trouble, None);
}

#[test]
fn what_was_made_before_there_was_a_remote_is_brought_there() {
    let server = Server::start();
    let machine = Machine::new(&server.url(), RemoteMode::ReadOnly);
    machine.work(0..N);
    let environment = |_: &str| None;
    let store = machine.store.alone();
    let store = store.with_remote(
        remote::open(&server.url(), &environment).unwrap(),
        RemoteMode::ReadWrite,
    );
    for n in 0..N {
        store.lookup(&action(n).key()).unwrap();
    }
    store.finish_uploads(&|| false);
    assert_eq!(Machine::new(&server.url(), RemoteMode::ReadOnly).work(0..N), 0);
}

#[test]
fn results_that_hold_on_one_machine_stay_there() {
    let server = Server::start();
    let machine = Machine::new(&server.url(), RemoteMode::ReadWrite);
    assert_eq!(machine.work([1, 1000, 1001]), 3);
    let puts = server
        .asked()
        .into_iter()
        .filter(|request| request.starts_with("PUT "))
        .count();
    assert_eq!((puts, machine.account().results_sent), (3, 1));
    assert_eq!(Machine::new(&server.url(), RemoteMode::ReadOnly).work([1, 1000]), 1);
}

#[test]
fn poisoned_and_lost_blobs_are_made_again_and_heal_the_server() {
    let server = filled();
    // One poisoned where the server does not look, one lost.
    server.change(|objects| {
        let blobs: Vec<String> = objects.keys().filter(|path| path.contains("/cas/")).cloned().collect();
        let large: Vec<&String> = blobs.iter().filter(|path| objects[*path].len() > 100).collect();
        let (poisoned, lost) = (large[0].clone(), large[1].clone());
        let middle = objects[&poisoned].len() / 2;
        objects.get_mut(&poisoned).expect("it is there")[middle] ^= 4;
        objects.remove(&lost);
    });
    let machine = Machine::new(&server.url(), RemoteMode::ReadWrite);
    assert_eq!(machine.work(0..N), 2);
    let trouble = machine.account().trouble.unwrap_or_default();
    assert!(
        trouble.contains("it sent") && trouble.contains("made anew"),
        "{trouble}"
    );
    let next = Machine::new(&server.url(), RemoteMode::ReadOnly);
    assert_eq!((next.work(0..N), next.account().trouble), (0, None));
}

#[test]
fn a_result_with_much_to_say_travels_too() {
    let server = Server::start();
    let (from, to) = (
        Machine::new(&server.url(), RemoteMode::ReadWrite),
        Machine::new(&server.url(), RemoteMode::ReadOnly),
    );
    let record = cache::Record {
        kind: "evaluation".to_owned(),
        blobs: [("a".to_owned(), from.store.put(b"a").unwrap())].into(),
        notes: serde_json::json!("word ".repeat(1 << 20)),
        action: action(7),
        seconds: 1.0,
    };
    from.store.publish(&action(7).key(), &record).unwrap();
    from.store.finish_uploads(&|| false);
    let Ok(Lookup::Hit(found)) = to.store.lookup(&action(7).key()) else {
        panic!("it was brought there");
    };
    assert_eq!(*found, record);
}
