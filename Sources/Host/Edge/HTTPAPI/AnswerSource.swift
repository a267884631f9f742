import Wire

/// The body of a large answer, made slice by slice while the client takes it.
///
/// `@unchecked Sendable`: it is made on one thread, handed over, and then used by the event loop of
/// its connection alone.
final class AnswerSource: @unchecked Sendable {
    private var document: ResultDocument
    /// Memory that the rows take until the last of them is written.
    private let share: Share?

    init(_ document: ResultDocument, holding share: Share?) {
        self.document = document
        self.share = share
    }

    /// About `size` bytes more. Fails when the rows are damaged.
    func next(_ size: Int) throws(WireError) -> (bytes: [UInt8], isLast: Bool) {
        let isLast = try document.advance(until: size)
        return (document.takeBytes(), isLast)
    }
}
