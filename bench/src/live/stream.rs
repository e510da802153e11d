//! Subscribers by server-sent events.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Opens so many streams of the events of one instance.
pub(super) async fn open(address: SocketAddr, streams: usize, query: &str, instance: &str) -> Result<Vec<TcpStream>> {
    let body = json!({"query": query, "variables": {"instance": instance}}).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         accept: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut opened = Vec::with_capacity(streams);
    for _ in 0..streams {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(1024);
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                bail!("a stream was not opened");
            }
        }
        if !head.starts_with(b"HTTP/1.1 200") {
            bail!("a stream was refused: {}", String::from_utf8_lossy(&head));
        }
        opened.push(stream);
    }
    Ok(opened)
}
