package import Registry

/// What a registry answered, for the machines that asked.
package struct RegistryReply: Equatable, Sendable {
    /// What came of the read or write, or why there is none.
    package var answer: RegistryAnswer
    /// Of a read: the state that was seen, for `watch`. Empty if the registry can't be watched.
    package var token: [UInt8]

    package init(_ answer: RegistryAnswer, token: [UInt8] = []) {
        self.answer = answer
        self.token = token
    }
}

/// How a watch of the record `leader` ended.
package enum RegistryWatchOutcome: Equatable, Sendable {
    /// The token is empty if none was given: the next read has one.
    case changed(token: [UInt8])
    /// Nothing changed until the time was up.
    case unchanged
    case failed
    /// This registry can't be watched.
    case unsupported
}
