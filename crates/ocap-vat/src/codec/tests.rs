//! Frames cut in every way, mutated, and made up.

use ocap_types::crank::{CrankReport, Fault, FaultKind};
use proptest::prelude::*;

use super::{FrameBuffer, FrameError, FrameReader, encode};
use crate::engine::LogLevel;
use crate::frame::FromWorker;
use crate::limits::{FRAME_ELEMENTS_MAX, FRAME_FROM_WORKER_BYTES_MAX};

const BYTES_MAX: usize = 4096;

fn samples() -> Vec<FromWorker> {
    vec![
        FromWorker::Get { key: "vc.1.|entryCount".into() },
        FromWorker::Log { level: LogLevel::Warn, message: "ä".repeat(300) },
        FromWorker::Done(CrankReport {
            vatstore: vec![("k".into(), Some("v".into())), ("l".into(), None)],
            ..CrankReport::default()
        }),
        FromWorker::Fault(Fault { kind: FaultKind::Overrun, detail: "too long".into() }),
        FromWorker::NextKey { prior: String::new() },
    ]
}

fn stream() -> Vec<u8> {
    samples().iter().flat_map(|message| encode(message, BYTES_MAX).unwrap()).collect()
}

fn drain(frames: &mut FrameBuffer, into: &mut Vec<FromWorker>) -> Result<(), FrameError> {
    while let Some(message) = frames.next()? {
        into.push(message);
    }
    Ok(())
}

proptest! {
    #[test]
    fn frames_survive_any_cutting(cuts in prop::collection::vec(1usize..700, 1..40)) {
        let stream = stream();
        let mut frames = FrameBuffer::new(BYTES_MAX);
        let mut received = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            frames.fill(piece);
            drain(&mut frames, &mut received).unwrap();
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received, samples());
        prop_assert!(!frames.is_partial());
    }

    #[test]
    fn mutated_frames_are_frames_or_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut stream = stream();
        for (place, byte) in changes {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let mut frames = FrameBuffer::new(BYTES_MAX);
        frames.fill(&stream);
        let mut received = Vec::new();
        if let Err(error) = drain(&mut frames, &mut received) {
            // It stays broken, and holds nothing.
            frames.fill(&stream);
            prop_assert_eq!(frames.next::<FromWorker>(), Err(error));
            prop_assert_eq!(frames.bytes.capacity(), 0);
        }
    }

    #[test]
    fn noise_is_never_a_panic(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut frames = FrameBuffer::new(BYTES_MAX);
        frames.fill(&noise);
        let _ = drain(&mut frames, &mut Vec::new());
        let mut framed = u32::try_from(noise.len()).unwrap().to_le_bytes().to_vec();
        framed.extend(&noise);
        let mut frames = FrameBuffer::new(BYTES_MAX);
        frames.fill(&framed);
        let _ = drain(&mut frames, &mut Vec::new());
    }
}

#[test]
fn a_length_over_the_limit_is_refused_when_it_is_seen() {
    let mut frames = FrameBuffer::new(100);
    frames.fill(&101u32.to_le_bytes());
    let too_long = FrameError::TooLong { bytes: 101, bytes_max: 100 };
    assert_eq!(frames.next::<FromWorker>(), Err(too_long.clone()));
    frames.fill(&stream());
    assert_eq!(frames.next::<FromWorker>(), Err(too_long));
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut frames = FrameBuffer::default();
    frames.fill(&(60u32 << 20).to_le_bytes());
    assert_eq!(frames.next::<FromWorker>(), Ok(None));
    assert!(frames.bytes.capacity() < 1024);
    assert!(frames.is_partial());
}

#[test]
fn unread_frames_do_not_pile_up() {
    let one = encode(&FromWorker::NextKey { prior: "k".repeat(50) }, 100).unwrap();
    let mut frames = FrameBuffer::new(100);
    for _ in 0..100 {
        frames.fill(&one);
    }
    assert_eq!(frames.next::<FromWorker>(), Err(FrameError::Backlog));
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut frame = encode(&FromWorker::NextKey { prior: String::new() }, 100).unwrap();
    frame[0] += 1;
    frame.push(0);
    let mut frames = FrameBuffer::new(100);
    frames.fill(&frame);
    assert!(matches!(frames.next::<FromWorker>(), Err(FrameError::Malformed(_))));
}

#[test]
fn a_message_over_the_limit_is_not_encoded() {
    let message = FromWorker::NextKey { prior: "k".repeat(200) };
    assert!(matches!(encode(&message, 100), Err(FrameError::TooLong { bytes_max: 100, .. })));
}

#[test]
fn the_end_of_a_stream_inside_a_frame_is_an_error() {
    let stream = stream();
    let mut reader = FrameReader::new(BYTES_MAX);
    let mut cut = &stream[..stream.len() - 1];
    for _ in 1..samples().len() {
        assert!(reader.read::<FromWorker>(&mut cut).unwrap().is_some());
    }
    let error = reader.read::<FromWorker>(&mut cut).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn lists_are_counted_and_not_only_weighed() {
    // Two bytes each on the wire, dozens in memory.
    let report = |entries: usize| {
        let vatstore = vec![(String::new(), None); entries];
        let message = FromWorker::Done(CrankReport { vatstore, ..CrankReport::default() });
        let mut frames = FrameBuffer::default();
        frames.fill(&encode(&message, FRAME_FROM_WORKER_BYTES_MAX).unwrap());
        frames.next::<FromWorker>().map(|decoded| assert_eq!(decoded, Some(message)))
    };
    // The end of each of the two lists is charged like an element.
    assert_eq!(report(FRAME_ELEMENTS_MAX - 2), Ok(()));
    assert!(matches!(report(FRAME_ELEMENTS_MAX - 1), Err(FrameError::Malformed(_))));
}
