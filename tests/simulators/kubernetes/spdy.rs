//! SPDY/3.1 over an upgraded connection, as much of it as `kubectl exec` and `kubectl port-forward` speak: streams that
//! the client opens, data both ways, pings. Flow control is not needed by either side.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// The words that both sides know from the start (SPDY/3, section 2.6.10.1): each with its length before it.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// And then this.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug \
    Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary of the header blocks.
pub fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS.split_whitespace().map(|word| word.replace('_', " ")) {
        bytes.extend(u32::try_from(word.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(word.as_bytes());
    }
    bytes.extend(TEXT.as_bytes());
    bytes
}

/// What the client does.
#[derive(Debug)]
pub enum Event {
    /// It opens a stream, with these headers (names in lower case).
    Opened(u32, BTreeMap<String, String>),
    /// It sends on a stream; nothing more comes after the last.
    Data(u32, Vec<u8>, bool),
}

/// The client's side of a connection.
pub struct Incoming<R> {
    from: R,
    headers: Decompress,
    answers: Outgoing,
}

/// The server's side of a connection; copies write to the same one.
#[derive(Clone)]
pub struct Outgoing(mpsc::UnboundedSender<Vec<u8>>);

impl Outgoing {
    /// Accepts a stream.
    pub fn accept(&self, stream: u32, headers: &mut Compress) {
        let mut block = Vec::with_capacity(64);
        // A block without headers: their number, which is none.
        if headers.compress_vec(&[0; 4], &mut block, FlushCompress::Sync).is_ok() {
            self.control(2, &[&stream.to_be_bytes()[..], &block].concat());
        }
    }

    /// Sends on a stream.
    pub fn data(&self, stream: u32, bytes: &[u8], last: bool) {
        let mut frame = stream.to_be_bytes().to_vec();
        frame.extend(head(u8::from(last), bytes.len()));
        frame.extend(bytes);
        self.write(frame);
    }

    fn control(&self, kind: u8, content: &[u8]) {
        let mut frame = vec![0x80, 3, 0, kind];
        frame.extend(head(0, content.len()));
        frame.extend(content);
        self.write(frame);
    }

    fn write(&self, frame: Vec<u8>) {
        let _the_client_may_be_gone = self.0.send(frame);
    }
}

/// Flags and a length of three bytes.
fn head(flags: u8, length: usize) -> [u8; 4] {
    let [_, high, middle, low] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    [flags, high, middle, low]
}

/// The compression of the headers that the server sends.
pub fn compression() -> io::Result<Compress> {
    let mut headers = Compress::new(Compression::default(), true);
    headers.set_dictionary(&dictionary()).map_err(io::Error::other)?;
    Ok(headers)
}

/// Takes over a connection.
pub fn split<S>(connection: S) -> (Incoming<tokio::io::ReadHalf<S>>, Outgoing)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from, mut to) = tokio::io::split(connection);
    let (sender, mut frames) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
        let _it_is_over_anyway = to.shutdown().await;
    });
    let answers = Outgoing(sender);
    (Incoming { from, headers: Decompress::new(true), answers: answers.clone() }, answers)
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// The next thing that the client does; nothing when the connection is at its end.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            let mut start = [0; 8];
            match self.from.read_exact(&mut start).await {
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                done => done?,
            };
            let [a, b, c, d, flags, high, middle, low] = start;
            let mut content = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
            self.from.read_exact(&mut content).await?;
            let last = flags & 1 == 1;
            if a & 0x80 == 0 {
                return Ok(Some(Event::Data(u32::from_be_bytes([a, b, c, d]), content, last)));
            }
            match d {
                // SYN_STREAM: its number, another stream's, a priority, and the headers.
                1 if content.len() >= 10 => {
                    let headers = self.read_headers(&content[10..])?;
                    return Ok(Some(Event::Opened(number(&content), headers)));
                }
                // RST_STREAM: nothing more comes.
                3 if content.len() >= 4 => return Ok(Some(Event::Data(number(&content), Vec::new(), true))),
                6 => self.answers.control(6, &content),
                // GOAWAY
                7 => return Ok(None),
                _ => {}
            }
        }
    }

    fn read_headers(&mut self, mut block: &[u8]) -> io::Result<BTreeMap<String, String>> {
        let mut plain = Vec::with_capacity(4096);
        while !block.is_empty() {
            let before = self.headers.total_in();
            let done = self.headers.decompress_vec(block, &mut plain, FlushDecompress::Sync);
            let read = usize::try_from(self.headers.total_in() - before).unwrap_or(0);
            block = block.get(read..).unwrap_or_default();
            match done {
                Err(why) if why.needs_dictionary().is_some() => {
                    self.headers.set_dictionary(&dictionary()).map_err(io::Error::other)?;
                }
                Err(why) => return Err(io::Error::other(why)),
                Ok(_) if read == 0 => return Err(io::Error::other("the headers are too long")),
                Ok(_) => {}
            }
        }
        let mut rest = plain.get(4..).unwrap_or_default();
        let mut headers = BTreeMap::new();
        while !rest.is_empty() {
            let (name, after) = word(rest).ok_or_else(|| io::Error::other("broken headers"))?;
            let (value, after) = word(after).ok_or_else(|| io::Error::other("broken headers"))?;
            headers.insert(name.to_lowercase(), value);
            rest = after;
        }
        Ok(headers)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff)
}

/// A text with its length before it, and what comes after.
fn word(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}
