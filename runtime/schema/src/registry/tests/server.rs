//! A server that answers what it was told to, and remembers what it was asked.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Answers with this status and text.
    Say(u16, String),
    /// Reads it, and says nothing until the other side gives up.
    Wait,
    /// Closes the connection.
    HangUp,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// The first line of each request, its authorization and its body.
    asked: Vec<String>,
}

pub(super) struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that gives these answers in turn, and hangs up on whoever asks for more.
    #[expect(clippy::disallowed_methods, reason = "the other end of a real connection")]
    pub(super) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { replies: replies.into_iter().collect(), asked: Vec::new() }));
        let is_over = Arc::new(AtomicBool::new(false));
        let (served, over) = (Arc::clone(&script), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                serve(&stream.unwrap(), &served);
            }
        });
        Self { address, script, is_over, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.clone()
    }

    pub(super) fn will(&self, reply: Reply) {
        self.script.lock().unwrap().replies.push_back(reply);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: &TcpStream, script: &Mutex<Script>) {
    let mut lines = BufReader::new(stream);
    let (mut asked, mut length) = (String::new(), 0);
    lines.read_line(&mut asked).unwrap();
    asked = asked.trim_end().replace(" HTTP/1.1", "");
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => asked = format!("{asked}{}", value.trim_end()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let reply = {
        let mut script = script.lock().unwrap();
        script.asked.push(format!("{asked} {}", String::from_utf8(body).unwrap()).trim_end().to_owned());
        script.replies.pop_front().unwrap_or(Reply::HangUp)
    };
    match reply {
        Reply::Say(status, text) => {
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            // Who does not want to hear more has hung up.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
        }
        Reply::Wait => drop(stream.read_to_end(&mut Vec::new())),
        Reply::HangUp => {}
    }
}
