//! Frame checksums as ffmpeg's `framemd5` prints them, and what it means that a receiver got a
//! source's frames unharmed. Pure.

use std::collections::BTreeMap;

/// One frame of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) size: u64,
    pub(crate) md5: String,
}

impl Frame {
    fn same_bytes(&self, other: &Self) -> bool {
        self.size == other.size && self.md5 == other.md5
    }
}

/// All frames of one file or one reception, by kind of stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    /// `video` or `audio` → its decoder configuration's size and checksum.
    pub(crate) configurations: BTreeMap<String, String>,
    /// `video` or `audio` → its frames in order.
    pub(crate) streams: BTreeMap<String, Vec<Frame>>,
}

/// Where a reception lies in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Frames of the source before the first one received.
    pub(crate) skipped_before: usize,
    /// Frames received.
    pub(crate) received: usize,
    /// Frames of the source after the last one received.
    pub(crate) missing_after: usize,
    /// Received timestamp minus source timestamp.
    pub(crate) offset_ms: i64,
}

impl Frames {
    /// Reads the `framemd5` format with time bases of a millisecond. A last line without its end is
    /// left out: the writer was stopped in the middle of it.
    pub(crate) fn parse(text: &str) -> Self {
        let mut kinds = BTreeMap::new();
        let mut configurations = BTreeMap::new();
        let mut frames = Self::default();
        for line in text.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else { continue };
            if let Some(rest) = line.strip_prefix("#media_type ") {
                let (index, kind) = rest.split_once(": ").expect("an index and a kind");
                kinds.insert(index.to_owned(), kind.to_owned());
            } else if let Some(rest) = line.strip_prefix("#extradata ") {
                let (index, value) = rest.split_once(',').expect("an index and a checksum");
                configurations.insert(index.to_owned(), value.trim().to_owned());
            } else if let Some(rest) = line.strip_prefix("#tb ") {
                assert!(rest.ends_with(": 1/1000"), "time base of a millisecond, not {rest}");
            } else if !line.starts_with('#') {
                let fields: Vec<&str> = line.split(',').map(str::trim).collect();
                let [index, dts, pts, _duration, size, md5, ..] = fields[..] else {
                    panic!("six fields, not {line:?}");
                };
                let kind = kinds.get(index).expect("a stream that was announced").clone();
                frames.streams.entry(kind).or_default().push(Frame {
                    dts: dts.parse().expect("a number"),
                    pts: pts.parse().expect("a number"),
                    size: size.parse().expect("a number"),
                    md5: md5.to_owned(),
                });
            }
        }
        frames.configurations = configurations
            .into_iter()
            .filter_map(|(index, value)| Some((kinds.get(&index)?.clone(), value)))
            .collect();
        frames
    }

    /// The frames of one kind of stream.
    pub(crate) fn of(&self, kind: &str) -> &[Frame] {
        self.streams.get(kind).map_or(&[], Vec::as_slice)
    }

    /// How many frames there are in all.
    pub(crate) fn count(&self) -> usize {
        self.streams.values().map(Vec::len).sum()
    }

    /// What came before and what came after the source was sent anew from its first video frame.
    pub(crate) fn cut_at_return_of(&self, source: &Self) -> (Self, Self) {
        let start = source.of("video").first().expect("a source with video");
        let mut starts = self.of("video").iter().filter(|frame| frame.same_bytes(start));
        let cut = starts.nth(1).map_or(i64::MAX, |frame| frame.dts);
        let part = |is_in: &dyn Fn(&Frame) -> bool| {
            let kept =
                |frames: &Vec<Frame>| frames.iter().filter(|it| is_in(it)).cloned().collect();
            let streams = self.streams.iter().map(|(kind, it)| (kind.clone(), kept(it))).collect();
            Self { configurations: self.configurations.clone(), streams }
        };
        (part(&|frame| frame.dts < cut), part(&|frame| frame.dts >= cut))
    }

    /// Whether these are an unbroken run of the source's frames in every stream, byte for byte,
    /// with one and the same time offset and the same decoder configuration.
    ///
    /// Says per kind of stream where the run lies, or what is wrong.
    pub(crate) fn run_of(&self, source: &Self) -> Result<BTreeMap<String, Run>, String> {
        if self.streams.is_empty() {
            return Err("no frame arrived".to_owned());
        }
        if self.configurations != source.configurations {
            return Err(format!(
                "decoder configurations differ: {:?}, source {:?}",
                self.configurations, source.configurations
            ));
        }
        let mut runs = BTreeMap::new();
        for (kind, sent) in &source.streams {
            let run = run_in_stream(self.of(kind), sent).map_err(|why| format!("{kind}: {why}"))?;
            runs.insert(kind.clone(), run);
        }
        let offsets: Vec<i64> = runs.values().map(|run: &Run| run.offset_ms).collect();
        if offsets.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("audio and video moved against each other: {runs:?}"));
        }
        Ok(runs)
    }

    /// As [`Self::run_of`], and nothing of the source is missing at either end. Audio that the source
    /// sends before its first keyframe may be: a player may start at that.
    pub(crate) fn is_all_of(&self, source: &Self) -> Result<(), String> {
        let first_video = source.of("video").first().map(|frame| frame.dts);
        for (kind, run) in self.run_of(source)? {
            let skipped = &source.of(&kind)[..run.skipped_before];
            let early = |frame: &Frame| {
                kind == "audio" && first_video.is_some_and(|video| frame.dts <= video)
            };
            if run.missing_after > 0 || !skipped.iter().all(early) {
                return Err(format!("{kind}: not the whole source: {run:?}"));
            }
        }
        Ok(())
    }
}

fn run_in_stream(received: &[Frame], sent: &[Frame]) -> Result<Run, String> {
    let first = received.first().ok_or("no frame arrived")?;
    let mut farthest = None;
    let starts = sent.iter().enumerate().filter(|(_, frame)| frame.same_bytes(first));
    for (start, frame) in starts {
        let offset_ms = first.dts - frame.dts;
        match first_difference(received, &sent[start..], offset_ms) {
            None => {
                return Ok(Run {
                    skipped_before: start,
                    received: received.len(),
                    missing_after: sent.len() - start - received.len(),
                    offset_ms,
                });
            }
            Some(difference) => {
                if farthest.as_ref().is_none_or(|(index, _)| difference.0 > *index) {
                    farthest = Some(difference);
                }
            }
        }
    }
    Err(farthest.map_or_else(
        || format!("the first frame received is none of the source's: {first:?}"),
        |(index, what)| format!("frame {index} of {} received: {what}", received.len()),
    ))
}

fn first_difference(received: &[Frame], sent: &[Frame], offset_ms: i64) -> Option<(usize, String)> {
    for (index, got) in received.iter().enumerate() {
        let Some(want) = sent.get(index) else {
            return Some((index, "the source ended before".to_owned()));
        };
        if !got.same_bytes(want) {
            return Some((index, format!("{got:?} instead of {want:?}")));
        }
        if got.dts - want.dts != offset_ms || got.pts - want.pts != offset_ms {
            return Some((index, format!("{got:?} moved by other than {offset_ms} ms: {want:?}")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#format: frame checksums\n\
        #extradata 0,       46, f222\n#extradata 1,        5, ff45\n\
        #tb 0: 1/1000\n#media_type 0: video\n#tb 1: 1/1000\n#media_type 1: audio\n\
        #stream#, dts,        pts, duration,     size, hash\n\
        0,          0,         67,       33,     4943, aa\n\
        1,         10,         10,       23,      314, ba\n\
        0,         33,        100,       33,      500, ab\n\
        1,         33,         33,       23,      314, bb\n\
        0,         66,        133,       33,      501, ac\n\
        0,         99,        166,       33,      501, ad\n\
        1,         56,         56,       23,      310, bc\n";

    fn without(line_end: &str) -> String {
        let kept: Vec<&str> = TEXT.lines().filter(|line| !line.ends_with(line_end)).collect();
        kept.join("\n") + "\n"
    }

    #[test]
    fn a_source_is_all_of_itself() {
        let source = Frames::parse(TEXT);
        assert_eq!(source.count(), 7);
        assert_eq!(source.is_all_of(&source), Ok(()));
    }

    #[test]
    fn a_late_joiner_has_a_run() {
        let joined = Frames::parse(&without(" aa").replace("1,         10,", "#"));
        let runs = joined.run_of(&Frames::parse(TEXT)).expect("a run");
        assert_eq!(runs["video"].skipped_before, 1);
        assert_eq!(runs["audio"].skipped_before, 1);
        assert!(joined.is_all_of(&Frames::parse(TEXT)).is_err());
    }

    #[test]
    fn only_audio_from_before_the_first_keyframe_may_be_missing() {
        let source = Frames::parse(TEXT);
        let mut late = source.clone();
        late.streams.get_mut("audio").expect("audio").remove(0);
        assert!(late.is_all_of(&source).is_err());
        let early_audio = Frames::parse(&TEXT.replace("1,         10,", "1,          0,"));
        assert_eq!(late.is_all_of(&early_audio), Ok(()));
        let mut no_keyframe = source.clone();
        no_keyframe.streams.get_mut("video").expect("video").remove(0);
        assert!(no_keyframe.is_all_of(&source).is_err());
    }

    #[test]
    fn a_dropped_frame_is_found() {
        let source = Frames::parse(TEXT);
        for dropped in [" ab", " ac", " bb"] {
            let error = Frames::parse(&without(dropped)).run_of(&source).expect_err(dropped);
            assert!(error.contains("instead of"), "{error}");
        }
    }

    #[test]
    fn a_changed_byte_is_found() {
        let changed = Frames::parse(&TEXT.replace("501, ac", "501, ee"));
        assert!(changed.run_of(&Frames::parse(TEXT)).is_err());
    }

    #[test]
    fn frames_out_of_order_or_twice_are_found() {
        let source = Frames::parse(TEXT);
        let mut swapped = source.clone();
        swapped.streams.get_mut("video").expect("video").swap(1, 2);
        assert!(swapped.run_of(&source).is_err());
        let mut doubled = source.clone();
        let again = doubled.of("audio")[1].clone();
        doubled.streams.get_mut("audio").expect("audio").insert(1, again);
        assert!(doubled.run_of(&source).is_err());
    }

    #[test]
    fn audio_that_moved_against_video_is_found() {
        let source = Frames::parse(TEXT);
        let mut moved = source.clone();
        for frame in moved.streams.get_mut("audio").expect("audio") {
            frame.dts += 5;
            frame.pts += 5;
        }
        let error = moved.run_of(&source).expect_err("moved");
        assert!(error.contains("against each other"), "{error}");
        for frame in moved.streams.get_mut("video").expect("video") {
            frame.dts += 5;
            frame.pts += 5;
        }
        assert_eq!(moved.is_all_of(&source), Ok(()));
    }

    #[test]
    fn another_decoder_configuration_is_found() {
        let other = Frames::parse(&TEXT.replace("f222", "f223"));
        assert!(other.run_of(&Frames::parse(TEXT)).is_err());
    }

    #[test]
    fn a_source_that_returns_is_cut_in_two() {
        let source = Frames::parse(TEXT);
        let mut twice = source.clone();
        for (kind, frames) in &mut twice.streams {
            let again = source.of(kind).iter().cloned().map(|frame| Frame {
                dts: frame.dts + 200,
                pts: frame.pts + 200,
                ..frame
            });
            frames.extend(again);
        }
        assert!(twice.run_of(&source).is_err());
        let (before, after) = twice.cut_at_return_of(&source);
        assert_eq!((before.is_all_of(&source), after.is_all_of(&source)), (Ok(()), Ok(())));
        assert_eq!(source.cut_at_return_of(&source).1.count(), 0);
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let cut = TEXT.trim_end_matches("310, bc\n");
        assert_eq!(Frames::parse(cut).count(), 6);
    }

    #[test]
    fn nothing_is_no_run() {
        assert!(Frames::default().run_of(&Frames::parse(TEXT)).is_err());
    }
}
