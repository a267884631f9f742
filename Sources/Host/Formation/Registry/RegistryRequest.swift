/// One call of the registry's plugin: a store that compares and sets, and nothing else. There is no
/// request that writes whatever stands there.
package enum RegistryRequest: Equatable, Sendable {
    case read(String)
    /// Writes if the record's revision is still `expected`; nil stands for "there is none".
    case write(String, value: [UInt8], expected: Revision?)
    /// Removes the record if its revision is still `expected`.
    case erase(String, expected: Revision)
    /// All records whose name begins so.
    case list(prefix: String)
}

/// Which request an answer belongs to. Each machine has at most one under way.
package struct RegistryRequestID: Hashable, Sendable {
    /// The machine that asked, so that the shell knows where the answer goes.
    package enum Owner: UInt8, Sendable {
        case formation
        case keeper
    }

    /// Which machine asked.
    package let owner: Owner
    /// Counted up by the owner.
    package let number: UInt64

    package init(owner: Owner, number: UInt64) {
        self.owner = owner
        self.number = number
    }
}

/// What came of a request. Every request is answered once, in the end.
package enum RegistryAnswer: Equatable, Sendable {
    /// Of a read: nil if there is no such record.
    case record(StoredRecord?)
    /// Of a list.
    case records([StoredRecord])
    /// Of a write that is certain.
    case written(Revision)
    /// Of an erasure: there is no such record any more.
    case erased
    /// Of a write: the record has another revision, or is there, or is not there. A write may have
    /// been sent twice and this be the answer to the second, so the outcome is *not* certain. Of an
    /// erasure: the record has another revision.
    case conflict
    /// Of any request. A write may have happened all the same, or may yet.
    case failed(RegistryFailure)
}

/// Why a request failed, in words for the operator.
package struct RegistryFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Kind: Sendable {
        /// The registry can't be reached, answered nonsense, or the plugin failed.
        case unavailable
        /// No answer within the request's time.
        case timeout
        /// The registry refuses the credentials, or this record to them.
        case forbidden
        /// The plugin can't serve this configuration: asking again is of no use, unless it could before. Then a file
        /// that it needs may be on its way.
        case permanent
    }

    /// What kind of failure it is.
    package let kind: Kind
    /// For the operator.
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
