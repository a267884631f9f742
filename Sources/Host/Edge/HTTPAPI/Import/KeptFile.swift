package import Wire

/// A body that came whole and is kept in a file, which is gone with the object. Its calls wait for
/// the disk: never on an event loop. Thread-safe.
package protocol KeptFile: AnyObject, Sendable {
    /// - Returns: as many bytes from the offset on, fewer at the end; nil: the disk fails.
    func read(at offset: Int, _ count: Int) -> [UInt8]?

    /// A table of the SQLite file that the body is.
    func table(_ name: String) throws(KeptFileFault) -> any KeptTable
}

/// The rows of a table in a body. Belongs to one thread at a time.
package protocol KeptTable: AnyObject {
    /// Those that a row can be given.
    var columns: [String] { get }
    /// - Returns: nil: there is no other row.
    func next() throws(KeptFileFault) -> [Value]?
}

/// Why a body can't be read, in words for the client.
package struct KeptFileFault: Error, Equatable {
    package var text: String
    /// This node lacks what it takes to keep it, for now: nothing is known of the body.
    package var isOfNode: Bool
    /// The disk has no room for it.
    package var isTooLarge: Bool

    package init(text: String, isOfNode: Bool = false, isTooLarge: Bool = false) {
        self.text = text
        self.isOfNode = isOfNode
        self.isTooLarge = isTooLarge
    }
}
