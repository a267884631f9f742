import Archive
import ObjectStorage
import StateMachine

/// The SQLite extensions by which a restore does what the cluster's nodes did, in a directory of their own
/// for as long as it runs.
struct RestoreExtensions {
    /// Nil: there are none.
    private let directory: RestoreDirectory?
    private let interruption: RestoreInterruption

    /// - Parameters:
    ///   - paths: as `-extensions-path` has them.
    ///   - interruption: removes the copies where the restore can't be waited for.
    /// - Throws: what can't be loaded, by its name.
    init(_ paths: [String], _ interruption: RestoreInterruption) throws(StorageFault) {
        self.interruption = interruption
        guard !paths.isEmpty else {
            directory = nil
            return
        }
        let directory = try RestoreDirectory(
            in: RestoreDirectory.usualParent(environment: Environment.value))
        self.directory = directory
        interruption.work(in: directory)
        do throws(ExtensionFault) {
            try SQLExtensions.install(paths, in: directory.path)
        } catch {
            interruption.leave()
            throw StorageFault(error.description)
        }
    }

    /// At the end; what can't be removed is left.
    func remove() { interruption.leave() }
}
