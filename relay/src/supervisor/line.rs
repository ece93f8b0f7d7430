//! What two processes say to each other after one has taken the other's place: that the service ends, and by
//! their own end that they are gone. Never blocks.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

/// The service ends: drain. Said again: stop at once.
const END: u8 = b'e';

/// A line to the other process.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

/// What came over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet.
    Nothing,
    /// The service ends.
    End,
    /// The other process is over.
    Gone,
}

impl Line {
    /// What was the line of the hand-over.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let stream = stream.try_clone()?;
        stream.set_nonblocking(true)?;
        Ok(Self(stream))
    }

    /// Has the other drain, or stop at once if it drains already.
    pub(super) fn tell_end(&self) {
        // It may be over, which is what is wanted.
        let _gone = (&self.0).write_all(&[END]);
    }

    /// What the other has said since the last time.
    pub(super) fn hear(&mut self) -> Heard {
        let mut word = [0];
        match self.0.read(&mut word) {
            Ok(0) => Heard::Gone,
            Ok(_) if word == [END] => Heard::End,
            Ok(_) => Heard::Nothing,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Heard::Nothing,
                _ => Heard::Gone,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_heard_once_and_the_end_of_the_other_always() {
        let (here, there) = UnixStream::pair().unwrap();
        let (near, mut far) = (Line::of(&here).unwrap(), Line::of(&there).unwrap());
        // The conversation before is over.
        drop((here, there));
        assert_eq!(far.hear(), Heard::Nothing);
        near.tell_end();
        near.tell_end();
        assert_eq!([far.hear(), far.hear(), far.hear()], [Heard::End, Heard::End, Heard::Nothing]);
        drop(near);
        assert_eq!([far.hear(), far.hear()], [Heard::Gone, Heard::Gone]);
        far.tell_end();
    }
}
