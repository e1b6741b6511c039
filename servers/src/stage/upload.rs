use bytes::{Buf, BytesMut};

use super::head::{Refusal, Upload};
use super::wire::{Broken, Wire};
use crate::Site;

/// The body of a request as far as it was received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The first bytes, up to [`Site::BODY_LIMIT`].
    pub(super) kept: Vec<u8>,
    /// How many bytes there were.
    pub(super) length: u64,
}

impl Received {
    pub(super) fn take(&mut self, bytes: &[u8], limit: u64) -> Result<(), Refusal> {
        self.length += bytes.len() as u64;
        if self.length > limit {
            return Err(Refusal::BodyTooLarge);
        }
        let room = Site::BODY_LIMIT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }
}

/// Why a body was not received to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    Refused(Refusal),
    Broken(Broken),
}

impl From<Refusal> for Interrupted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Broken> for Interrupted {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Reads a request's body to its end.
pub(super) async fn receive(
    wire: &mut Wire,
    upload: Upload,
    limit: u64,
    received: &mut Received,
) -> Result<(), Interrupted> {
    match upload {
        Upload::Length(0) => Ok(()),
        Upload::Length(length) if length > limit => Err(Refusal::BodyTooLarge.into()),
        Upload::Length(length) => {
            while received.length < length {
                if wire.buffer.is_empty() {
                    wire.fill().await?;
                }
                let missing = usize::try_from(length - received.length).unwrap_or(usize::MAX);
                let available = wire.buffer.len().min(missing);
                received.take(&wire.buffer[..available], limit)?;
                wire.buffer.advance(available);
            }
            Ok(())
        }
        Upload::Chunked => {
            let mut chunks = Chunks::default();
            while !chunks.decode(&mut wire.buffer, |bytes| received.take(bytes, limit))? {
                wire.fill().await?;
            }
            Ok(())
        }
    }
}

/// A strict decoder of the chunked coding. (RFC 9112, 7.1)
#[derive(Default)]
struct Chunks {
    state: State,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
}

/// The longest line with a chunk's size and extensions.
const SIZE_LINE: usize = 256;
/// The longest trailer section.
const TRAILER: usize = 16 << 10;

impl Chunks {
    /// Decodes what is in the buffer; true at the end of the body, false where more bytes are needed.
    fn decode(
        &mut self,
        buffer: &mut BytesMut,
        mut take: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<bool, Refusal> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = line(buffer, SIZE_LINE)? else { return Ok(false) };
                    self.state = match size(&line)? {
                        0 => State::Trailer,
                        size => State::Data(size),
                    };
                }
                State::Data(missing) => {
                    if buffer.is_empty() {
                        return Ok(false);
                    }
                    let available = buffer.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
                    take(&buffer[..available])?;
                    buffer.advance(available);
                    let missing = missing - available as u64;
                    self.state = if missing == 0 { State::DataEnd } else { State::Data(missing) };
                }
                State::DataEnd => {
                    let Some(end) = line(buffer, 0)? else { return Ok(false) };
                    if !end.is_empty() {
                        return Err(Refusal::Malformed("a chunk is longer than its size"));
                    }
                    self.state = State::Size;
                }
                State::Trailer => {
                    let Some(line) = line(buffer, TRAILER - self.trailer_bytes)? else { return Ok(false) };
                    if line.is_empty() {
                        return Ok(true);
                    }
                    self.trailer_bytes = (self.trailer_bytes + line.len()).min(TRAILER);
                }
            }
        }
    }
}

/// Takes a line and its CR LF off the buffer, and gives it without them.
fn line(buffer: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, Refusal> {
    let window = &buffer[..buffer.len().min(limit + 2)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && window[end - 1] == b'\r' => {
            let line = buffer.split_to(end - 1);
            buffer.advance(2);
            Ok(Some(line))
        }
        Some(_) => Err(Refusal::Malformed("a line of the chunked body does not end with CR LF")),
        None if buffer.len() < limit + 2 => Ok(None),
        None => Err(Refusal::Malformed("a line of the chunked body is too long")),
    }
}

fn size(line: &[u8]) -> Result<u64, Refusal> {
    const FAULT: Refusal = Refusal::Malformed("a chunk has no valid size");
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(FAULT);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| FAULT)?;
    u64::from_str_radix(digits, 16).map_err(|_| FAULT)
}
