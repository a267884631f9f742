package import Raft
import WriteAheadLog

/// The ID that a data directory gives its node, read before the node starts: whoever is told the node's
/// name meanwhile, a discovery plugin, is told the true one.
package enum StoredNodeID {
    /// Reads the log and changes nothing.
    ///
    /// - Returns: nil where there is no node yet, or what is there can't be read: the start says why.
    package static func read(from directory: String) -> NodeID? {
        let path = directory + "/log"
        guard let segments = try? LogInspection.segments(in: path), segments > 0 else { return nil }
        // The boot only tells what of the end is proven durable, which does not matter here.
        let found = try? LogInspection.read(path, bootID: RandomID(high: 0, low: 0))
        return found?.state.identity?.id
    }
}
