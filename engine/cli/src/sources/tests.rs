//! Downloads against a server of a few lines.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cache::{BlobRef, Store};
use schedule::{Event, Observer};

use super::fetch::fetch;
use super::url::Url;
use super::{Download, FetchError, Resolver};
use crate::args::FetchArgs;
use crate::progress::{Progress, Transfer};

const BYTES: &[u8] = b"the bytes of a network";

struct Nothing;

impl Observer for Nothing {
    fn event(&self, _: &Event<'_>) {}
}

impl Transfer for Nothing {
    fn at(&self, _: u64) {}
}

impl Progress for Nothing {
    fn download(&self, _: &str, _: u64) -> Box<dyn Transfer> {
        Box::new(Nothing)
    }

    fn clear(&self) {}
}

/// What the server says to each connection in turn, then nothing more.
struct Server {
    url: String,
    /// The `Range` header of each request.
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    fn with(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/model.h5", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = ranges.clone();
        thread::spawn(move || {
            for answer in answers {
                let Ok((mut connection, _)) = listener.accept() else {
                    return;
                };
                let lines = BufReader::new(&connection).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let range = head
                    .iter()
                    .find_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
                seen.lock().unwrap().push(range);
                // The client may have left.
                let _ = connection.write_all(&answer);
            }
        });
        Server { url, ranges }
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// Breaks off after `sent` bytes.
fn broken(sent: usize) -> Vec<u8> {
    answer(
        "200 OK",
        &format!("Content-Length: {}\r\n", BYTES.len()),
        &BYTES[..sent],
    )
}

struct Case {
    folder: tempfile::TempDir,
    store: Store,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache")).unwrap();
        Case { folder, store }
    }

    fn fetch(&self, urls: &[&str], from: &FetchArgs) -> Result<BlobRef, FetchError> {
        let cancelled = AtomicBool::new(false);
        let resolver = Resolver {
            store: &self.store,
            from,
            cancelled: &cancelled,
            progress: &Nothing,
        };
        fetch(&resolver, &download(urls))
    }

    fn mirror(&self, bytes: &[u8]) -> FetchArgs {
        let mirror: PathBuf = self.folder.path().join("mirror");
        fs::create_dir_all(&mirror).unwrap();
        fs::write(mirror.join(BlobRef::of(BYTES).digest.to_string()), bytes).unwrap();
        FetchArgs {
            mirror: vec![mirror],
            offline: true,
        }
    }

    fn holds_the_bytes(&self) {
        assert_eq!(self.store.read(&BlobRef::of(BYTES)).unwrap(), BYTES);
    }
}

fn download(urls: &[&str]) -> Download {
    Download {
        source: "weights".into(),
        name: "model.h5".into(),
        urls: urls.iter().map(|url| Url::from(*url)).collect(),
        blob: BlobRef::of(BYTES),
    }
}

fn online() -> FetchArgs {
    FetchArgs::default()
}

#[test]
fn a_download_is_made_once() {
    let (case, server) = (Case::new(), Server::with(vec![whole(BYTES)]));
    case.fetch(&[&server.url], &online()).unwrap();
    case.holds_the_bytes();
    case.fetch(&[&server.url], &online()).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), 1);
}

#[test]
fn a_download_survives_garbage_collection_as_long_as_there_is_room() {
    let (case, server) = (Case::new(), Server::with(vec![whole(BYTES)]));
    case.fetch(&[&server.url], &online()).unwrap();
    case.store.gc(1 << 20).unwrap();
    case.holds_the_bytes();
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let rest = format!(
        "Content-Length: {}\r\nContent-Range: bytes 4-{}/{}\r\n",
        BYTES.len() - 4,
        BYTES.len() - 1,
        BYTES.len()
    );
    let answers = vec![broken(4), answer("206 Partial Content", &rest, &BYTES[4..])];
    let (case, server) = (Case::new(), Server::with(answers));
    case.fetch(&[&server.url], &online()).unwrap();
    case.holds_the_bytes();
    assert_eq!(*server.ranges.lock().unwrap(), [None, Some("bytes=4-".to_owned())]);
}

#[test]
fn a_server_without_ranges_sends_it_all_again() {
    let (case, server) = (Case::new(), Server::with(vec![broken(4), whole(BYTES)]));
    case.fetch(&[&server.url], &online()).unwrap();
    case.holds_the_bytes();
}

#[test]
fn the_next_address_is_tried() {
    let gone = Server::with(vec![answer("404 Not Found", "Content-Length: 0\r\n", b"")]);
    let (case, server) = (Case::new(), Server::with(vec![whole(BYTES)]));
    case.fetch(&[&gone.url, &server.url], &online()).unwrap();
    case.holds_the_bytes();
}

#[test]
fn what_the_cache_holds_under_the_digest_is_hashed_before_it_counts_as_the_download() {
    let (case, server) = (Case::new(), Server::with(vec![whole(BYTES)]));
    let blob = case.store.put(BYTES).unwrap();
    case.fetch(&["http://127.0.0.1:1/model.h5"], &online()).unwrap();
    assert!(server.ranges.lock().unwrap().is_empty());

    let case = Case::new();
    case.store.put(BYTES).unwrap();
    let path = case.store.path(&blob.digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "the bytes of a nutwork").unwrap();
    case.fetch(&[&server.url], &online()).unwrap();
    case.holds_the_bytes();
}

/// A server that answers with these bytes and then says nothing more, for as long as the connection lasts.
fn stalling(start: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/model.h5", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            connection.write_all(&start).unwrap();
            open.push(connection);
        }
    });
    url
}

#[test]
fn a_download_that_stalls_is_stopped_at_once() {
    for start in [Vec::new(), broken(4)] {
        let (case, url) = (Case::new(), stalling(start));
        let cancelled = AtomicBool::new(false);
        let from = online();
        let resolver = Resolver {
            store: &case.store,
            from: &from,
            cancelled: &cancelled,
            progress: &Nothing,
        };
        let fetched = thread::scope(|scope| {
            let fetching = scope.spawn(|| fetch(&resolver, &download(&[&url])));
            thread::sleep(Duration::from_millis(200));
            cancelled.store(true, Ordering::Relaxed);
            fetching.join().unwrap()
        });
        // A server may say nothing for longer than this test would be waited for.
        assert!(matches!(fetched, Err(FetchError::Interrupted)), "{fetched:?}");
    }
}

#[test]
fn other_bytes_are_refused_with_both_digests() {
    for other in [
        b"the bytes of a nutwork".as_slice(),
        b"a longer file than was asked for",
    ] {
        let (case, server) = (Case::new(), Server::with(vec![whole(other)]));
        let error = case.fetch(&[&server.url], &online()).unwrap_err().to_string();
        let (expected, got) = (BlobRef::of(BYTES), BlobRef::of(other));
        assert!(
            error.contains(&expected.digest.to_string()) && error.contains(&got.digest.to_string()),
            "{error}"
        );
        assert!(!case.store.contains(&expected).unwrap());
    }
}

#[test]
fn a_mirror_comes_before_the_network() {
    let case = Case::new();
    case.fetch(&["http://127.0.0.1:1/model.h5"], &case.mirror(BYTES))
        .unwrap();
    case.holds_the_bytes();
}

#[test]
fn a_mirror_with_other_bytes_is_an_error() {
    let case = Case::new();
    let error = case
        .fetch(&["http://127.0.0.1:1/model.h5"], &case.mirror(b"others"))
        .unwrap_err()
        .to_string();
    assert!(error.contains(&BlobRef::of(BYTES).digest.to_string()), "{error}");
    assert!(error.contains(&BlobRef::of(b"others").digest.to_string()), "{error}");
}

#[test]
fn offline_names_the_ways_out() {
    let error = Case::new()
        .fetch(
            &["https://host/model.h5"],
            &FetchArgs {
                mirror: Vec::new(),
                offline: true,
            },
        )
        .unwrap_err();
    insta::assert_snapshot!(error, @"source `weights`: not in the cache, and --offline forbids to download https://host/model.h5 (sha256 a7190449a4de9222629da2aadf12ee6ffa838a6690696824e8c1c4073594cb49); pass --mirror DIR with a folder that holds a file of that name, or --source weights=PATH");
}

#[test]
fn a_file_address_needs_no_network() {
    let case = Case::new();
    let file = case.folder.path().join("my model.h5");
    fs::write(&file, BYTES).unwrap();
    let url = format!("file://{}", file.display().to_string().replace(' ', "%20"));
    case.fetch(
        &[&url],
        &FetchArgs {
            mirror: Vec::new(),
            offline: true,
        },
    )
    .unwrap();
    case.holds_the_bytes();
}

#[test]
fn what_is_nowhere_is_listed_by_address() {
    let case = Case::new();
    let error = case
        .fetch(&["file:///nowhere/a.h5", "file:///nowhere/b.h5"], &online())
        .unwrap_err();
    insta::assert_snapshot!(error, @"
    source `weights`: cannot be downloaded
      file:///nowhere/a.h5: No such file or directory (os error 2)
      file:///nowhere/b.h5: No such file or directory (os error 2)
      pass --mirror DIR with a folder that holds a file named a7190449a4de9222629da2aadf12ee6ffa838a6690696824e8c1c4073594cb49, or --source weights=PATH
    ");
}
