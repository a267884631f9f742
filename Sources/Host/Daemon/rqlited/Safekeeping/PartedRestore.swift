import Service
import Wire

/// A download that is too large for one entry, on its way into the log of a cluster without data: part by
/// part, and then an end that takes effect in an empty database alone. What became of a part that got no
/// answer doesn't matter, for it is kept once; whether the end took effect shows in the database.
/// Belongs to one thread.
struct PartedRestore {
    enum Outcome: Equatable {
        /// To be tried again after a pause.
        case later
        /// The same; a state of the cluster is in the way that somebody must change, in words.
        case refused(String)
        /// The file of the parts can't be read any more: they must be made anew.
        case partsLost
        case restored
        /// Somebody has made something in the database.
        case occupied
        case failed(String)
    }

    private let parcel: LoadParcel
    /// Parts that are known to be kept.
    private var kept: UInt32 = 0
    /// How often the end was refused.
    private var refusals = 0

    private static let lookTimeout = Duration.seconds(10)
    private static let partTimeout = Duration.seconds(60)
    private static let mostRefusals = 3

    init(_ parcel: LoadParcel) { self.parcel = parcel }

    /// How long the end may take: about a second for each four MiB, which a slow disk manages.
    /// - Parameter byteCount: of the database.
    static func endTime(of byteCount: UInt64) -> Duration {
        .seconds(Int64(clamping: byteCount >> 22))
    }

    /// By the leader.
    /// - Parameter limit: on the size of the database, in bytes.
    mutating func bring(
        _ enquiry: NodeEnquiry, limit: UInt64, while isWanted: () -> Bool
    ) -> Outcome {
        let isEmpty = enquiry.isEmpty(
            at: .linearizable, timeout: Self.lookTimeout, while: isWanted)
        guard let isEmpty else { return .later }
        guard isEmpty else { return .occupied }
        guard parcel.byteCount <= limit else {
            return .failed(
                "the database has \(parcel.byteCount) bytes, and the cluster's limit is \(limit)")
        }
        while kept < parcel.parts {
            guard let bytes = parcel.part(kept) else { return .partsLost }
            let part = LoadPart(
                id: parcel.id, number: kept, byteCount: parcel.byteCount, bytes: bytes)
            let outcome = enquiry.ask(
                .loadPart(part, isBoot: false), timeout: Self.partTimeout, while: isWanted)
            if case .failed(.unsuitable(let text))? = outcome { return .refused(text) }
            guard case .results(let result) = outcome else { return .later }
            guard result.error == nil else {
                // Another node's parts came before, or these were given up.
                kept = 0
                return .later
            }
            kept += 1
        }
        return end(enquiry, while: isWanted)
    }

    private mutating func end(_ enquiry: NodeEnquiry, while isWanted: () -> Bool) -> Outcome {
        let end = LoadEnd(
            id: parcel.id, action: .replace, onlyEmpty: true, parts: parcel.parts,
            byteCount: parcel.byteCount)
        // From the beginning, if there is another time: an end takes the parts along.
        kept = 0
        let outcome = enquiry.ask(
            .loadEnd(end, isBoot: false),
            timeout: Self.partTimeout + Self.endTime(of: parcel.byteCount), while: isWanted)
        guard case .results(let result) = outcome else { return .later }
        guard let error = result.error else { return .restored }
        refusals += 1
        return refusals < Self.mostRefusals ? .later : .failed(error)
    }
}
