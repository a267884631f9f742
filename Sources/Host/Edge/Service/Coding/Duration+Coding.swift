import Wire

/// A duration travels as whole nanoseconds in 64 bits, which hold 292 years; longer ones are cut.
extension Duration {
    func encode(into writer: inout ByteWriter) {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else {
            writer.write(seconds < 0 ? Int64.min : Int64.max)
            return
        }
        let (sum, overflow2) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        writer.write(overflow2 ? (seconds < 0 ? Int64.min : Int64.max) : sum)
    }

    init(from reader: inout ByteReader) throws(WireError) {
        self = .nanoseconds(try reader.read(Int64.self))
    }
}
