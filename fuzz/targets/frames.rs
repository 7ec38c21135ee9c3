//! What a worker sends, in pieces of any size, as the kernel cuts and decodes it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocap_vat::codec::{FrameBuffer, encode};
use ocap_vat::frame::FromWorker;
use ocap_vat::limits::FRAME_FROM_WORKER_BYTES_MAX;

/// Small, so that the fuzzer finds it.
const FRAME_BYTES_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    for piece in rest.chunks(usize::from(first) + 1) {
        frames.fill(piece);
        while let Ok(Some(frame)) = frames.next::<FromWorker>() {
            // What was understood means one thing only.
            let bytes = encode(&frame, FRAME_FROM_WORKER_BYTES_MAX).unwrap();
            let mut again = FrameBuffer::default();
            again.fill(&bytes);
            assert_eq!(again.next::<FromWorker>(), Ok(Some(frame)));
        }
    }
});
