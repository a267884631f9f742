package import Wire

/// Takes one body that is to be loaded, part by part, and looks at it when it is whole. What it keeps
/// is gone after `finish` or `discard`, and when nobody holds it any more.
///
/// Calls may take their time: never on an event loop. One at a time, on any thread, but for `abandon`.
package protocol LoadIntake: AnyObject, Sendable {
    /// The next bytes, as the client sent them.
    /// - Returns: nil: they were taken. Otherwise `tooLarge`, `unfit` or `unable`: nothing can become of
    ///   the body, which `finish` says as well.
    func add(_ part: [UInt8]) -> LoadContent?

    /// The body has come to its end. To be called once.
    func finish() -> LoadContent

    /// The client has gone, and nobody waits any more for what `finish` says, which may be under way on
    /// another thread: it ends soon. Alone of all these it never blocks.
    func abandon()

    /// In place of `finish`, for who reads the body itself.
    func keep() throws(KeptFileFault) -> any KeptFile

    /// Nobody wants the body any more: the client has gone, or was refused.
    func discard()
}

extension LoadContent {
    /// What a body that is still coming is refused with.
    var refusal: HTTPRefusal? {
        switch self {
        case .tooLarge(let text): .bodyUnfit(text, isTooLarge: true)
        case .unfit(let text): .bodyUnfit(text, isTooLarge: false)
        case .unable(let text): .bodyUnkept(text)
        case .sql, .image, .parcel, .busy: nil
        }
    }
}

/// For a server that loads nothing.
package final class RefusedLoad: LoadIntake {
    package init() {}

    package func add(_ part: [UInt8]) -> LoadContent? { finish() }
    package func finish() -> LoadContent { .unfit("this server loads nothing") }
    package func keep() throws(KeptFileFault) -> any KeptFile {
        throw KeptFileFault(text: "this server loads nothing")
    }
    package func abandon() {}
    package func discard() {}
}
