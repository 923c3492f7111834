//! What the tests share: a server of a few lines with faults on demand, and machines that work through a list of actions.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cache::{Action, Lookup, Record, RemoteAccount, RemoteMode, Store};
use tempfile::TempDir;

/// What a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Closes the connection instead of answering.
    Drop,
    /// Says nothing for so long.
    Delay(Duration),
    /// Sends half of what it announces.
    Truncate,
    /// Flips a bit in blobs.
    FlipBlobs,
    /// Flips a bit in records.
    FlipRecords,
    /// Sends another blob of the same length.
    OtherBlobs,
    /// Sends more than the blob has.
    LongBlobs,
    /// Has the blobs when asked whether, and not when asked for them.
    ForgetBlobs,
    /// Gives the record of another action.
    OtherRecords,
    /// Answers everything with this status.
    Status(u16),
    /// Takes nothing, and says so with this status.
    RefusePuts(u16),
}

/// Which requests a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// The first of each kind, so that another attempt goes well.
    First,
}

/// A server with the protocol of bazel-remote.
pub struct Server {
    at: SocketAddr,
    shared: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    fault: Mutex<Option<(Fault, When)>>,
    /// Requests that a fault has met.
    met: Mutex<BTreeSet<String>>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("an address");
        let shared = Arc::<Inside>::default();
        let inside = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inside = inside.clone();
                thread::spawn(move || inside.serve(stream));
            }
        });
        Server { at, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/team", self.at)
    }

    /// What goes wrong from now on.
    pub fn fail(&self, fault: Option<(Fault, When)>) {
        *self.shared.fault.lock().expect("sound") = fault;
    }

    /// The requests so far, `GET /team/ac/…`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.asked.lock().expect("sound"))
    }

    /// What is stored, by path.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.objects.lock().expect("sound").clone()
    }

    /// Changes what is stored.
    pub fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut self.shared.objects.lock().expect("sound"));
    }
}

impl Inside {
    /// Answers requests until the other side has had enough. Errors end the connection, as servers do.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        while self.answer(&mut reader, &stream).is_some() {}
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn answer(&self, reader: &mut BufReader<TcpStream>, mut stream: &TcpStream) -> Option<()> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let mut words = head.first()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let length = head
            .iter()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let request = format!("{method} {path}");
        self.asked.lock().ok()?.push(request.clone());
        let fault = match *self.fault.lock().ok()? {
            Some((fault, When::Always)) => Some(fault),
            Some((fault, When::First)) => self.met.lock().ok()?.insert(request).then_some(fault),
            None => None,
        };

        let is_blob = path.contains("/cas/");
        let found = self.objects.lock().ok()?.get(&path).cloned();
        let (status, mut sent) = match (method.as_str(), found) {
            ("PUT", _) if matches!(fault, Some(Fault::RefusePuts(_))) => (507, Vec::new()),
            ("PUT", _) => {
                self.objects.lock().ok()?.insert(path.clone(), body);
                (201, Vec::new())
            }
            (_, Some(bytes)) => (200, bytes),
            (_, None) => (404, Vec::new()),
        };
        let (mut status, mut announced) = (status, sent.len());
        let has_body = method == "GET" && status == 200;
        match fault {
            Some(Fault::Drop) => return None,
            Some(Fault::Delay(pause)) => thread::sleep(pause),
            Some(Fault::Truncate) if has_body => sent.truncate(sent.len() / 2),
            Some(Fault::FlipBlobs) if has_body && is_blob => flip(&mut sent),
            Some(Fault::FlipRecords) if has_body && !is_blob => flip(&mut sent),
            Some(Fault::OtherBlobs) if has_body && is_blob => sent = vec![b'?'; sent.len()],
            Some(Fault::LongBlobs) if has_body && is_blob => {
                sent.extend([0; 9]);
                announced = sent.len();
            }
            Some(Fault::ForgetBlobs) if method == "GET" && is_blob => {
                (status, announced) = (404, 0);
                sent.clear();
            }
            Some(Fault::OtherRecords) if has_body && !is_blob => {
                let objects = self.objects.lock().ok()?;
                let other = objects
                    .iter()
                    .find(|(other, _)| other.contains("/ac/") && **other != path)?;
                sent.clone_from(other.1);
                announced = sent.len();
            }
            Some(Fault::Status(code)) => {
                (status, announced) = (code, 0);
                sent.clear();
            }
            Some(Fault::RefusePuts(code)) if method == "PUT" => status = code,
            Some(_) | None => {}
        }
        let answer = format!("HTTP/1.1 {status} It\r\nContent-Length: {announced}\r\n\r\n");
        stream.write_all(answer.as_bytes()).ok()?;
        if method != "HEAD" {
            stream.write_all(&sent).ok()?;
            if sent.len() < announced {
                return None;
            }
        }
        Some(())
    }
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
}

/// A local cache of its own in front of a remote.
pub struct Machine {
    pub folder: TempDir,
    pub store: Store,
    executed: AtomicUsize,
}

impl Machine {
    pub fn new(url: &str, mode: RemoteMode) -> Machine {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = |name: &str| (name == "PIPELINE_REMOTE_CACHE_TIMEOUT").then(|| "0.4".to_owned());
        let remote = remote::open(url, &environment).expect("a remote");
        let store = Store::open(&folder.path().join("cache")).expect("a new store");
        Machine {
            store: store.with_remote(remote, mode),
            folder,
            executed: AtomicUsize::new(0),
        }
    }

    /// Gets the results of these actions, each read in full, and makes those that cannot be had; what was made is brought to the remote.
    /// Says how many were made.
    pub fn work(&self, actions: impl IntoIterator<Item = u64>) -> usize {
        let before = self.executed.load(Ordering::SeqCst);
        for n in actions {
            // A promise that is not kept, and the next.
            let read = (0..4).any(|_| self.read(n));
            assert!(read, "action {n} has no result");
        }
        self.store.finish_uploads(&|| false);
        self.executed.load(Ordering::SeqCst) - before
    }

    /// Looks the action up, makes what is missing, and reads the result. `false`: something was lost on the way.
    fn read(&self, n: u64) -> bool {
        let key = action(n).key();
        if let Lookup::Miss { .. } = self.store.lookup(&key).expect("a lookup works") {
            self.executed.fetch_add(1, Ordering::SeqCst);
            self.make(n);
        }
        let Lookup::Hit(record) = self.store.lookup(&key).expect("a lookup works") else {
            return false;
        };
        for (name, bytes) in outputs(n) {
            match self.store.read(&record.blobs[&name]) {
                Ok(read) => assert!(read == bytes, "{name} of action {n} is wrong"),
                Err(_) => return false,
            }
        }
        true
    }

    fn make(&self, n: u64) {
        let put = |bytes: &Vec<u8>| self.store.put(bytes).expect("stored");
        let blobs = outputs(n)
            .iter()
            .map(|(name, bytes)| (name.clone(), put(bytes)))
            .collect();
        let record = Record {
            kind: "model".to_owned(),
            blobs,
            notes: serde_json::json!({ "n": n }),
            action: action(n),
            seconds: 0.5,
        };
        self.store.publish(&action(n).key(), &record).expect("published");
    }

    pub fn account(&self) -> RemoteAccount {
        self.store.remote_account().expect("there is a remote").1
    }
}

/// The action number `n`; from 1,000 on one whose result holds on its machine only.
pub fn action(n: u64) -> Action {
    Action {
        op: "quantize".to_owned(),
        revision: 1,
        params: format!(r#"{{"seed":{n}}}"#),
        inputs: BTreeMap::new(),
        environment: BTreeMap::new(),
        host: (n >= 1000).then(|| "this machine".to_owned()),
    }
}

/// What it makes.
pub fn outputs(n: u64) -> BTreeMap<String, Vec<u8>> {
    let weights = (0..4_000 + n)
        .flat_map(|i| (i ^ n << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    BTreeMap::from([
        ("document.json".to_owned(), format!("document {n}").into_bytes()),
        ("weights".to_owned(), weights),
    ])
}
