//! zstd and age over a sink that cuts parts. Synchronous: it only computes, never waits.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::stream::StreamWriter;
use bytes::Bytes;

use super::{Codec, CodecError};

/// Takes bytes and hands out full parts.
#[derive(Clone)]
struct Sink(Arc<Mutex<Cut>>);

struct Cut {
    part_bytes: usize,
    current: Vec<u8>,
    full: VecDeque<Bytes>,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Cut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut cut = self.lock();
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = cut.part_bytes.saturating_sub(cut.current.len());
            let (head, tail) = rest.split_at(room.min(rest.len()));
            let (have, need) = (cut.current.len(), cut.current.len() + head.len());
            if cut.current.capacity() < need {
                // Grows by doubling, but never beyond a part: a small object stays small (P12).
                let wanted = need.max(have * 2).min(cut.part_bytes);
                cut.current.reserve_exact(wanted - have);
            }
            cut.current.extend_from_slice(head);
            rest = tail;
            if cut.current.len() == cut.part_bytes {
                let part = std::mem::take(&mut cut.current);
                cut.full.push_back(Bytes::from(part));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands before the sink.
enum Sealed {
    Plain(Sink),
    Age(Box<StreamWriter<Sink>>),
}

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sealed::Plain(sink) => sink.write(bytes),
            Sealed::Age(age) => age.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Stage {
    Sealed(Sealed),
    Zstd(Box<zstd::Encoder<'static, Sealed>>),
}

/// zstd → age → parts.
pub(super) struct Pipeline {
    stage: Stage,
    sink: Sink,
}

impl Pipeline {
    pub(super) fn new(codec: &Codec, part_bytes: usize) -> Result<Self, CodecError> {
        let sink = Sink(Arc::new(Mutex::new(Cut {
            part_bytes: part_bytes.max(1),
            current: Vec::new(),
            full: VecDeque::new(),
        })));
        let failed = |step| {
            move |source| CodecError::Step {
                step,
                name: "an object".to_owned(),
                source,
            }
        };
        let sealed = match &codec.recipients {
            None => Sealed::Plain(sink.clone()),
            Some(recipients) => {
                let age = recipients.encryptor()?.wrap_output(sink.clone());
                Sealed::Age(Box::new(age.map_err(failed("encrypt"))?))
            }
        };
        let stage = match codec.zstd {
            None => Stage::Sealed(sealed),
            Some(level) => {
                let range = zstd::compression_level_range();
                // Above 19 ("ultra") zstd alone takes hundreds of MiB (P12).
                let highest = 19.min(*range.end());
                if !(1..=highest).contains(&level) {
                    return Err(CodecError::Level(level, 1, highest));
                }
                let mut zstd = zstd::Encoder::new(sealed, level).map_err(failed("compress"))?;
                zstd.include_checksum(true).map_err(failed("compress"))?;
                Stage::Zstd(Box::new(zstd))
            }
        };
        Ok(Self { stage, sink })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.write_all(bytes),
            Stage::Zstd(zstd) => zstd.write_all(bytes),
        }
    }

    /// The next full part, if there is one.
    pub(super) fn full_part(&self) -> Option<Bytes> {
        self.sink.lock().full.pop_front()
    }

    /// Ends zstd's frame and age's stream. What is left is in [`Pipeline::full_part`] and the returned tail.
    pub(super) fn finish(self) -> io::Result<Tail> {
        let sealed = match self.stage {
            Stage::Sealed(sealed) => sealed,
            Stage::Zstd(zstd) => zstd.finish()?,
        };
        if let Sealed::Age(age) = sealed {
            age.finish()?;
        }
        let mut cut = self.sink.lock();
        Ok(Tail {
            full: std::mem::take(&mut cut.full),
            rest: Bytes::from(std::mem::take(&mut cut.current)),
        })
    }
}

/// What was left at the end.
pub(super) struct Tail {
    /// Full parts.
    pub(super) full: VecDeque<Bytes>,
    /// The last part, shorter than the others, perhaps empty.
    pub(super) rest: Bytes,
}
