/// A kind of input from outside that a fuzzer makes up, and what must hold whatever it holds: the
/// process does not end, what is refused is refused by a typed error, what is taken is encoded as it
/// was read, and nothing takes much more memory than the input.
///
/// `Program` hands inputs of libFuzzer to a target, `CorpusTests` the seeds and what becomes of them
/// by chance.
struct FuzzTarget: Sendable {
    /// As commands and the folder of its seeds have it.
    let name: String
    /// Bytes of an input, at most; what is beyond is not looked at.
    let largestInput: Int
    /// - Throws: `Complaint` for what must not be.
    let play: @Sendable ([UInt8]) throws(Complaint) -> Void
    /// Real encodings, each with a name.
    let seeds: @Sendable () -> [FuzzSeed]

    static let all = [
        frames, messages, log, snapshots, formation, registry, http, http2, json, flags,
        pluginFrames, rows, gzip, credentials,
    ]

    static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// An input to begin with.
struct FuzzSeed: Sendable {
    /// Of its file.
    var name: String
    var bytes: [UInt8]

    init(_ name: String, _ bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

/// What must not be, in words.
struct Complaint: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func unless(
        _ holds: Bool, _ text: @autoclosure () -> String
    ) throws(Complaint) {
        if !holds { throw Complaint(text()) }
    }
}
