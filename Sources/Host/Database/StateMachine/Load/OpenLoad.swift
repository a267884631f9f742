package import Wire

/// A load whose parts come through the log: which one it is, and how much of it is there. It follows
/// from the log alone, and is read back from the parts themselves (see `MetadataTable`).
package struct OpenLoad: Equatable, Sendable {
    package var id: LoadID
    /// How many parts are there: all from the first on.
    package var parts: UInt32
    /// Bytes of the whole file, unpacked.
    package var byteCount: UInt64
    /// When the last part came, by the log's clock: milliseconds since 1970.
    package var milliseconds: Int64

    /// How long a load without a new part keeps others from beginning, in milliseconds.
    package static let patience: Int64 = 60_000
    /// After how long without a new part nothing of it is kept any more, in milliseconds.
    package static let lifetime: Int64 = 600_000

    /// What a part may have, whoever made it, in bytes.
    private static let mostPartBytes = 4 * LoadPart.size

    /// What becomes of a part.
    enum Verdict: Equatable {
        /// It is the first of a load; what is kept of another one is dropped.
        case begin
        case keep
        /// It is there already.
        case known
        case refused(String)
    }

    /// - Parameters:
    ///   - open: what there is.
    ///   - milliseconds: the log's clock at the part.
    static func judge(
        _ part: LoadPart, _ open: OpenLoad?, _ limits: WriteLimits, at milliseconds: Int64
    ) -> Verdict {
        guard !part.bytes.isEmpty, part.bytes.count <= mostPartBytes, part.number < .max else {
            return .refused("a part of a load has up to \(mostPartBytes) bytes")
        }
        if let open, open.id == part.id {
            guard part.byteCount == open.byteCount else {
                return .refused("the parts of the load don't belong together")
            }
            if part.number < open.parts { return .known }
            if part.number == open.parts { return .keep }
            return .refused("a part of the load is missing: begin anew")
        }
        guard part.number == 0 else {
            return .refused("the load was given up, or another one began: begin anew")
        }
        if let open, milliseconds - open.milliseconds < patience {
            return .refused("another load is under way: nothing was done, try again")
        }
        if part.byteCount > limits.database {
            return .refused(tooLarge(limits))
        }
        return .begin
    }

    /// Why the parts can't take the place of the database; nil: they can.
    static func refusal(of end: LoadEnd, _ open: OpenLoad?, _ limits: WriteLimits) -> String? {
        guard let open, open.id == end.id else {
            return "the load was given up, or another one began: begin anew"
        }
        guard open.parts == end.parts, open.byteCount == end.byteCount else {
            return "a part of the load is missing: begin anew"
        }
        return end.byteCount > limits.database ? tooLarge(limits) : nil
    }

    static func tooLarge(_ limits: WriteLimits) -> String {
        "the database would be larger than \(limits.database) bytes: raise the limit on writes"
    }

    /// Nobody goes on with it.
    func isAbandoned(at milliseconds: Int64) -> Bool {
        milliseconds - self.milliseconds > Self.lifetime
    }
}
