//! Requests over HTTP: how long they may take, and what their failures mean.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use cache::RemoteError;
use ureq::Agent;
use ureq::http::{Request, Response, StatusCode};

use crate::Environment;
use crate::address::OpenError;

/// Bytes that a record may have.
pub(crate) const LONGEST_RECORD: u64 = 64 << 20;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may say nothing, unless the variable says otherwise.
const ANSWER: Duration = Duration::from_secs(20);
/// Variable with the seconds that a server may say nothing.
const TIMEOUT: &str = "PIPELINE_REMOTE_CACHE_TIMEOUT";
/// How many bytes have to come or go in a second, on the whole; what is slower is not worth waiting for.
const RATE: u64 = 256 << 10;
/// Requests under way at once, when many small ones are to be made.
const AT_ONCE: usize = 8;

/// Sends requests over kept connections.
pub(crate) struct Client {
    agent: Agent,
    patience: Duration,
}

/// What a request carries.
pub(crate) enum Body<'a> {
    Nothing,
    Bytes(&'a [u8]),
    File(&'a File, u64),
}

impl Body<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Body::Nothing => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(_, size) => *size,
        }
    }
}

/// An answer: its status is one of success, or 404.
pub(crate) struct Answer(Response<ureq::Body>);

impl Client {
    pub(crate) fn new(environment: Environment<'_>) -> Result<Client, OpenError> {
        let patience = match environment(TIMEOUT).filter(|text| !text.is_empty()) {
            None => ANSWER,
            Some(text) => text
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|patience| !patience.is_zero())
                .ok_or_else(|| OpenError::Variable {
                    name: TIMEOUT,
                    problem: format!("`{text}`: expected seconds, such as 20"),
                })?,
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .max_idle_connections_per_host(AT_ONCE)
            .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Client {
            agent: agent.into(),
            patience,
        })
    }

    /// Sends a request; `expected` bytes may come back.
    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, String)],
        body: Body<'_>,
        expected: u64,
    ) -> Result<Answer, RemoteError> {
        let limit = CONNECT + self.patience + Duration::from_secs((body.len() + expected) / RATE);
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = match body {
            Body::Nothing => self.run(request.body(()), limit),
            Body::Bytes(bytes) => self.run(request.body(bytes), limit),
            Body::File(file, _) => self.run(request.body(file), limit),
        };
        let mut answer = answer?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(Answer(answer));
        }
        Err(refusal(method, status, &explanation(&mut answer)))
    }

    fn run<S: ureq::AsSendBody>(
        &self,
        request: Result<Request<S>, ureq::http::Error>,
        limit: Duration,
    ) -> Result<Response<ureq::Body>, RemoteError> {
        let request = request.map_err(|error| RemoteError::lasting(error.to_string()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(limit))
            .build();
        self.agent.run(request).map_err(|error| failure(&error))
    }

    /// Which of `all` `is_missing`, asked several at once.
    pub(crate) fn filter<T: Copy + Send + Sync>(
        all: &[T],
        is_missing: impl Fn(T) -> Result<bool, RemoteError> + Sync,
    ) -> Result<Vec<T>, RemoteError> {
        let some = |part: &[T]| {
            let mut found = Vec::new();
            for &item in part {
                if is_missing(item)? {
                    found.push(item);
                }
            }
            Ok(found)
        };
        let part = all.len().div_ceil(AT_ONCE);
        if part <= 1 && all.len() <= 1 {
            return some(all);
        }
        std::thread::scope(|scope| {
            let parts: Vec<_> = all.chunks(part).map(|part| scope.spawn(move || some(part))).collect();
            let mut found = Vec::new();
            for part in parts {
                let answer = part.join().map_err(|_| RemoteError::lasting("a request was lost"))?;
                found.extend(answer?);
            }
            Ok(found)
        })
    }
}

impl Answer {
    pub(crate) fn is_found(&self) -> bool {
        self.0.status() != StatusCode::NOT_FOUND
    }

    /// The length that the body has, or with `HEAD` would have, if the server says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.0.headers().get("content-length")?.to_str().ok()?.parse().ok()
    }

    /// What to say of a 404 where there was no question whether something is there.
    pub(crate) fn into_error(mut self, method: &str) -> RemoteError {
        let explanation = explanation(&mut self.0);
        refusal(method, self.0.status(), &explanation)
    }

    /// All of the body, which may have `most` bytes.
    pub(crate) fn bytes(self, most: u64) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = Vec::new();
        self.copy(most, &mut bytes)?;
        Ok(bytes)
    }

    /// Passes the body on.
    pub(crate) fn copy(mut self, most: u64, to: &mut dyn Write) -> Result<(), RemoteError> {
        // One byte too many is for the reader to see.
        let mut body = self.0.body_mut().with_config().limit(most + 1).reader();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => to
                    .write_all(&buffer[..read])
                    .map_err(|error| RemoteError::lasting(error.to_string()))?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure(&ureq::Error::from(error))),
            }
        }
    }
}

/// The beginning of what the server says about a refusal: the code of an S3 error, else a line of text.
fn explanation(answer: &mut Response<ureq::Body>) -> String {
    let mut text = Vec::new();
    let body = answer.body_mut().with_config().limit(4096).reader();
    // Part of it is better than nothing.
    let _ = body.take(4096).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let line = code.map_or_else(|| text.lines().next().unwrap_or_default(), |(code, _)| code);
    line.chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn refusal(method: &str, status: StatusCode, explanation: &str) -> RemoteError {
    let explanation = match explanation {
        "" => String::new(),
        explanation => format!(" ({explanation})"),
    };
    let problem = format!("{method} was answered with {status}{explanation}");
    match status.as_u16() {
        408 | 425 | 429 | 500 | 502..=504 => RemoteError::passing(problem),
        413 => RemoteError::unwanted(problem),
        401 | 403 if method == "PUT" => RemoteError::lasting(format!(
            "{problem}; give credentials that may write, or use --remote-cache-mode read-only"
        )),
        401 | 403 => RemoteError::lasting(format!("{problem}; give credentials that may read")),
        _ => RemoteError::lasting(problem),
    }
}

fn failure(error: &ureq::Error) -> RemoteError {
    use ureq::Error::{BadUri, HostNotFound, Http, Timeout, Tls};
    match error {
        Timeout(_) | HostNotFound | BadUri(_) | Http(_) | Tls(_) => RemoteError::lasting(error.to_string()),
        _ => RemoteError::passing(error.to_string()),
    }
}
