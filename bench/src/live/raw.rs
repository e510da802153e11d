//! The limit: a broadcast of frames that are ready, to every socket, many in one write. A process of its own, that its
//! processor time can be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// How the server broadcasts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct RawOptions {
    /// The port.
    #[arg(long)]
    port: u16,
    /// Events a second; 0 is as many as the sockets take.
    #[arg(long)]
    rate: u32,
    /// Bytes of an event.
    #[arg(long)]
    bytes: usize,
    /// Sends events over HTTP, instead of messages over WebSockets.
    #[arg(long)]
    streams: bool,
}

/// How many frames a socket is behind before the sender waits for it.
const AHEAD: usize = 1024;

/// How many frames are made at once where nothing holds them back.
const BURST: usize = 100;

/// Broadcasts until it is killed.
pub(crate) async fn serve(options: RawOptions) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
    let frames = broadcast::Sender::<Utf8Bytes>::new(AHEAD);
    let made = frames.clone();
    tokio::spawn(async move { make(options, &made).await });
    loop {
        let (stream, _) = listener.accept().await?;
        let frames = frames.subscribe();
        if options.streams {
            tokio::spawn(feed_stream(stream, frames));
        } else {
            tokio::spawn(feed(stream, frames));
        }
    }
}

async fn make(options: RawOptions, frames: &broadcast::Sender<Utf8Bytes>) {
    if options.rate > 0 {
        let mut tick = interval(Duration::from_secs(1) / options.rate);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            _ = frames.send(frame(options));
        }
    }
    let frame = frame(options);
    loop {
        // Nobody loses any: the slowest socket sets the pace.
        while frames.len() > AHEAD - BURST {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        for _ in 0..BURST {
            _ = frames.send(frame.clone());
        }
        tokio::task::yield_now().await;
    }
}

/// Returns a frame as the gateway's are, with the time at which it was made, in microseconds.
fn frame(options: RawOptions) -> Utf8Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let (head, tail) = if options.streams {
        ("event: next\ndata: {\"data\":{", "\"}}\n\n")
    } else {
        (r#"{"type":"next","id":"1","payload":{"#, r#""}}"#)
    };
    let mut text = format!(r#"{head}"sentAt":"{now}","text":""#);
    text.extend(std::iter::repeat_n('x', options.bytes.saturating_sub(text.len() + tail.len())));
    text.push_str(tail);
    // Each event is a chunk of the body.
    if options.streams { format!("{:x}\r\n{text}\r\n", text.len()).into() } else { text.into() }
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the library's type")]
fn choose_protocol(
    _: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    let protocol = tokio_tungstenite::tungstenite::http::HeaderValue::from_static("graphql-transport-ws");
    response.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(response)
}

async fn feed(stream: TcpStream, mut frames: broadcast::Receiver<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut socket = accept_hdr_async_with_config(stream, choose_protocol, Some(config)).await?;
    socket.next().await.context("no connection_init")??;
    socket.send(Message::text(r#"{"type":"connection_ack"}"#)).await?;
    socket.next().await.context("no subscribe")??;
    loop {
        let frame = frames.recv().await?;
        socket.feed(Message::Text(frame)).await?;
        while let Ok(frame) = frames.try_recv() {
            socket.feed(Message::Text(frame)).await?;
        }
        socket.flush().await?;
    }
}

async fn feed_stream(mut stream: TcpStream, mut frames: broadcast::Receiver<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if stream.read_buf(&mut request).await? == 0 {
            bail!("no request");
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut ready = Vec::new();
    loop {
        ready.extend_from_slice(frames.recv().await?.as_bytes());
        while let Ok(frame) = frames.try_recv() {
            ready.extend_from_slice(frame.as_bytes());
        }
        stream.write_all(&ready).await?;
        ready.clear();
    }
}
