import Gzip

/// Packed bodies, and what is packed: however the bytes arrive, the same comes out, no more than may, and
/// what was packed is unpacked as it was.
///
///     offset  size  input
///          0     1  so many bytes, and sixteen more, come at a time
///          1     …  the stream
extension FuzzTarget {
    static let gzip = FuzzTarget(name: "gzip", largestInput: 4096) { bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        let packed = Array(bytes.dropFirst())
        let whole = Unpacked(packed, piece: max(packed.count, 1))
        let inPieces = Unpacked(packed, piece: Int(first) + 16)
        try Complaint.unless(
            whole.fault == inPieces.fault, "\(whole.outcome) became \(inPieces.outcome) in pieces")
        try Complaint.unless(
            whole.fault != nil || whole.bytes == inPieces.bytes,
            "\(whole.bytes.count) bytes became \(inPieces.bytes.count) in pieces")
        try Complaint.unless(
            whole.bytes.count <= Unpacked.limit, "\(whole.bytes.count) bytes came out")
        let again = Unpacked(try Unpacked.pack(packed), piece: Int(first) + 16)
        try Complaint.unless(
            again.fault == nil && again.bytes == packed, "\(packed) were packed as others")
    } seeds: {
        let texts = [
            "", "[\"SELECT 1\"]", String(repeating: "INSERT INTO t VALUES(1);", count: 90),
        ]
        let packed = texts.compactMap { try? Unpacked.pack(Array($0.utf8)) }
        return packed.enumerated().map { FuzzSeed("stream-\($0)", [255] + $1) }
            + [
                FuzzSeed("two", [0] + packed.joined()),
                FuzzSeed("cut", [7] + (packed.last ?? []).dropLast(9)),
            ]
    }
}

/// What came out of a stream, and why not all of it did.
private struct Unpacked {
    static let limit = 1 << 20

    var bytes: [UInt8] = []
    var fault: GzipError?

    init(_ packed: [UInt8], piece: Int) {
        var reader = GzipReader(limit: Self.limit)
        var output: [UInt8] = []
        do throws(GzipError) {
            for start in stride(from: 0, to: packed.count, by: piece) {
                try reader.add(Array(packed[start...].prefix(piece))) { output += $0 }
            }
            try reader.end()
        } catch {
            fault = error
        }
        bytes = output
    }

    var outcome: String { fault.map { "\($0)" } ?? "\(bytes.count) bytes" }

    static func pack(_ bytes: [UInt8]) throws(Complaint) -> [UInt8] {
        let writer = GzipWriter()
        do throws(GzipError) {
            return try writer.add(bytes, isLast: true)
        } catch {
            throw Complaint("\(error)")
        }
    }
}
