/// How the making of a slice ended.
enum HTTPSlice {
    case more
    /// The rest has not come yet: `sliceReady` says when it has.
    case starved
    case last
    /// The rest can't be had; the client sees that by the missing end.
    case failed
}

/// Why a connection is closed without an answer.
enum HTTPConnectionEnd: Equatable {
    case idle
    case headTooSlow
    /// Becomes a refusal.
    case bodyTooSlow
    case takesTooSlowly
    case answerFailed
}
