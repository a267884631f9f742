package import JSON
import PluginABI

/// One record of a registry; see `rqd_record`.
package struct RegistryRecord: Equatable, Sendable {
    /// Without the key that the registry keeps its records below.
    package var name: String
    package var value: [UInt8]
    /// Names the state of this one record; 1 to `RQD_MAX_REVISION` bytes.
    package var revision: [UInt8]

    package init(name: String, value: [UInt8], revision: [UInt8]) {
        self.name = name
        self.value = value
        self.revision = revision
    }
}

package struct RegistryReading: Equatable, Sendable {
    /// Nil: there is none.
    package var record: RegistryRecord?
    /// What `wait` continues from; at most `RQD_MAX_TOKEN` bytes.
    package var token: [UInt8]?

    package init(record: RegistryRecord?, token: [UInt8]?) {
        self.record = record
        self.token = token
    }
}

/// An instance of a registry, in Swift's terms: `rqd_registry`, `rqd_watch` and `rqd_status`.
///
/// Calls come one at a time, from any thread; but `wait` may run beside one other call. What both
/// change is therefore behind a lock that no IO is done under, and `wait` has a connection of its
/// own. `Sendable` makes the compiler ask for it.
package protocol Registry: AnyObject, Sendable {
    /// Linearizable: shows every write that was answered before the call.
    func read(_ name: String, _ call: Call) throws(CallFailure) -> RegistryReading

    /// Writes if the revision is still `expected`, nil standing for "there is no record", and returns
    /// the new revision. Throws `RQD_CONFLICT`, or `RQD_ABSENT` when a revision was expected and
    /// there is no record.
    ///
    /// Once its bytes may have reached a server a write is never sent again: what is not known to
    /// be written is left to the host, which reads.
    func write(
        _ name: String, expected: [UInt8]?, value: [UInt8], _ call: Call
    ) throws(CallFailure) -> [UInt8]

    /// Removes the record at that revision. Throws as `write` does, and like it sends once.
    func erase(_ name: String, expected: [UInt8], _ call: Call) throws(CallFailure)

    /// Every record whose name begins with `prefix`.
    func list(prefix: String, _ call: Call) throws(CallFailure) -> [RegistryRecord]

    /// Of those the first `most` that come after a name (empty: from the first), in the order of their
    /// bytes.
    func page(
        prefix: String, after: String, most: Int, _ call: Call
    ) throws(CallFailure) -> [RegistryRecord]

    /// Returns as soon as the record may differ from the state that the token stands for, and then
    /// perhaps the new token. Throws `RQD_TIMEOUT` when the deadline passes before that. An empty
    /// token stands for no state at all.
    func wait(for name: String, token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]?

    /// For `/status`: a small object, without IO and without secrets.
    func describe() -> JSONValue
}

extension Registry {
    /// For servers that give all records at once, or none.
    package func page(
        prefix: String, after: String, most: Int, _ call: Call
    ) throws(CallFailure) -> [RegistryRecord] {
        let sorted = try list(prefix: prefix, call)
            .filter { after.isEmpty || after.utf8.lexicographicallyPrecedes($0.name.utf8) }
            .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        return Array(sorted.prefix(most))
    }
}
