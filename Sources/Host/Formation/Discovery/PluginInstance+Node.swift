import PluginABI
import Synchronization

/// Telling a plugin of the node: `rqd.node/1`, which few plugins offer.
extension PluginInstance {
    /// What came of it.
    package enum Telling: Equatable, Sendable {
        /// The plugin knows this state.
        case told
        /// It does not want to know, and no further instance of the same file and configuration will.
        case unwanted
    }

    /// Whether the instance at hand wants to be told of the node, as far as is known.
    package var listens: Bool { supervision.withLock { $0.listens } }

    /// Whether the plugin may have told others of the node, in this instance or in one before it: then it is owed a
    /// goodbye.
    package var mayHaveHeard: Bool { supervision.withLock { $0.mayHaveHeard } }

    /// Whether the instance at hand was told so.
    package func knows(_ node: PluginNode) -> Bool { supervision.withLock { $0.told == node } }

    /// Tells the plugin the node's state, unless it knows it already. Any thread may call, and none
    /// waits. What was not told is to be tried again, with what is true by then.
    ///
    /// A state with `leaving` gives up all other calls, for the node has no time: the plugin gets
    /// until the timeout for its goodbye, which is the last call before `stop`: others are refused as busy.
    @discardableResult
    package func tell(
        _ node: PluginNode, timeout: Duration, completion: @escaping Completion<Telling>
    ) -> PluginCall? {
        let (told, listens, epoch) = supervision.withLock { ($0.told, $0.listens, $0.epoch) }
        guard listens else {
            completion(.success(.unwanted))
            return nil
        }
        guard told != node else {
            completion(.success(.told))
            return nil
        }
        if node.flags.contains(.leaving) {
            watching.stop()
            serial.cancelAll()
        }
        let changed = node.flags.symmetricDifference(told?.flags ?? [])
        return submit(.update(node, changed: changed), timeout: timeout) { [self] result in
            switch result {
            case .success:
                supervision.withLock { $0.tell(node, epoch: epoch) }
                completion(.success(.told))
            case .failure(let error) where error.code == .unsupported:
                supervision.withLock { $0.tell(nil, epoch: epoch) }
                completion(.success(.unwanted))
            case .failure(let error): completion(.failure(error))
            }
        }
    }
}
