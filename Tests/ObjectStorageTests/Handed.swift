import ObjectStorage

/// A copy for a thread of a test. `@unchecked Sendable`: the thread has it alone, and the test does not touch
/// it again.
struct Handed: @unchecked Sendable {
    let copy: UploadFile
}
