//! One address to a file: HTTP with resumption, or a local file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::url::Url;
use super::{Download, FetchError, Resolver};
use crate::progress::Transfer;

/// How often a broken connection is made again.
const ATTEMPTS: usize = 3;
/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether the user has asked to stop, while nothing comes.
const GLANCE: Duration = Duration::from_millis(50);

/// Writes what `url` holds to the file `part`; goes on with what is there from an earlier attempt.
pub fn to_file(resolver: &Resolver<'_>, download: &Download, url: &Url, part: &Path) -> Result<(), FetchError> {
    let at_url = |problem: io::Error| FetchError::File {
        place: url.to_string(),
        problem: io::Error::new(problem.kind(), url.masked(&problem.to_string())),
    };
    let transfer = resolver.progress.download(&download.name, download.blob.size);
    let mut problem = io::Error::other("not tried");
    for _ in 0..ATTEMPTS {
        let have = part.metadata().map_or(0, |file| file.len());
        if have == download.blob.size {
            return Ok(());
        }
        let have = if have > download.blob.size { 0 } else { have };
        match copy(resolver, download, sent(url.secret(), have), part, &*transfer) {
            Ok(()) => return Ok(()),
            Err(Broken::Connection(error)) => problem = error,
            Err(Broken::Address(error)) => return Err(at_url(error)),
            Err(Broken::Other(error)) => return Err(error),
        }
    }
    Err(at_url(problem))
}

/// What a sender says.
enum Sent {
    /// What follows goes on after so many bytes.
    From(u64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// That was all.
    End,
}

/// Why a copy ended early.
enum Broken {
    /// The sender's side; another attempt may help.
    Connection(io::Error),
    /// The sender's side; another attempt would give the same.
    Address(io::Error),
    /// This side.
    Other(FetchError),
}

/// What `url` holds from byte `have` on, if the sender can, read on a thread of its own: a server that says nothing holds up
/// that thread and nobody else.
fn sent(url: &str, have: u64) -> Receiver<Result<Sent, Broken>> {
    let (sender, receiver) = mpsc::sync_channel(4);
    let url = url.to_owned();
    let started = thread::Builder::new().spawn({
        let sender = sender.clone();
        move || {
            let told = read(&url, have, &|sent| sender.send(Ok(sent)).is_ok());
            // Whoever has stopped listening needs no answer.
            let _ = sender.send(told.map(|()| Sent::End));
        }
    });
    if let Err(error) = started {
        let _ = sender.send(Err(Broken::Address(error)));
    }
    receiver
}

/// Tells what `url` holds, as long as somebody listens.
fn read(url: &str, have: u64, tell: &dyn Fn(Sent) -> bool) -> Result<(), Broken> {
    if let Some(path) = remote::local_path(url) {
        let mut file = File::open(path).map_err(Broken::Address)?;
        let listens = tell(Sent::From(0));
        return if listens { pass_on(&mut file, tell) } else { Ok(()) };
    }
    let response = request(&agent(), url, have).map_err(|error| {
        let broken = if is_final(&error) {
            Broken::Address
        } else {
            Broken::Connection
        };
        broken(error.into_io())
    })?;
    if !tell(Sent::From(resumed_at(&response, have))) {
        return Ok(());
    }
    pass_on(&mut response.into_body().into_reader(), tell)
}

fn pass_on(reader: &mut dyn Read, tell: &dyn Fn(Sent) -> bool) -> Result<(), Broken> {
    loop {
        let mut buffer = vec![0; 1 << 16];
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                buffer.truncate(read);
                if !tell(Sent::Bytes(buffer)) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Connection(error)),
        }
    }
}

/// Writes what is sent to `part`.
fn copy(
    resolver: &Resolver<'_>,
    download: &Download,
    sent: Receiver<Result<Sent, Broken>>,
    part: &Path,
    transfer: &dyn Transfer,
) -> Result<(), Broken> {
    let here = |problem| {
        Broken::Other(FetchError::File {
            place: part.display().to_string(),
            problem,
        })
    };
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(here)?;
    let mut size = 0;
    loop {
        if resolver.cancelled.load(Ordering::Relaxed) {
            return Err(Broken::Other(FetchError::Interrupted));
        }
        match sent.recv_timeout(GLANCE) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Broken::Connection(io::Error::other("the transfer broke off")));
            }
            Ok(Err(broken)) => return Err(broken),
            Ok(Ok(Sent::From(have))) => {
                size = have;
                file.set_len(have).map_err(here)?;
            }
            Ok(Ok(Sent::Bytes(bytes))) => {
                file.write_all(&bytes).map_err(here)?;
                size += bytes.len() as u64;
                transfer.at(size);
                // One byte too many shows that it is another file; the digest of what is here says which.
                if size > download.blob.size {
                    return Ok(());
                }
            }
            Ok(Ok(Sent::End)) if size < download.blob.size => {
                let problem = format!("ended after {size} of {} bytes", download.blob.size);
                return Err(Broken::Connection(io::Error::other(problem)));
            }
            Ok(Ok(Sent::End)) => return Ok(()),
        }
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn request(agent: &Agent, url: &str, have: u64) -> Result<Response<ureq::Body>, ureq::Error> {
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    request.call()
}

/// How many bytes the answer goes on after: `have` if the server says so, else none.
fn resumed_at<B>(response: &Response<B>, have: u64) -> u64 {
    let range = response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let starts = |range: &str| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok();
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT && range.and_then(starts) == Some(have);
    if goes_on { have } else { 0 }
}

/// Whether asking again would give the same answer.
fn is_final(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::StatusCode(code) => (400..500).contains(code) && !matches!(code, 408 | 429),
        ureq::Error::BadUri(_) | ureq::Error::HostNotFound => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_goes_on_only_where_the_server_says_so() {
        let answer = |status: u16, range: Option<&str>| {
            let mut response = Response::builder().status(status);
            if let Some(range) = range {
                response = response.header(header::CONTENT_RANGE, range);
            }
            resumed_at(&response.body(()).unwrap(), 100)
        };
        assert_eq!(answer(206, Some("bytes 100-199/200")), 100);
        assert_eq!(answer(206, Some("bytes 0-199/200")), 0);
        assert_eq!(answer(206, None), 0);
        assert_eq!(answer(200, None), 0);
    }
}
