import Raft
package import WriteAheadLog

/// The keeper's steps on a log, whatever disk it lies on: the daemon's thread and the simulator
/// carry them out alike.
extension LogKeeper {
    /// Carries out a step that is for the log, and notes what came of it. Blocks as long as the disk
    /// does; on the thread that owns the log.
    package mutating func perform<D: Disk>(_ step: LogStep, on log: inout SegmentedLog<D>) {
        do throws(LogError) {
            switch step {
            case .append(let batch, let report):
                try log.append(batch)
                appended(report)
            case .sync:
                try log.sync()
                synced()
            case .fetch(let fetch):
                fetched(try log.entries(from: fetch.from, byteLimit: fetch.byteLimit), for: fetch)
            case .compact(let index): compact(&log, through: index)
            case .reset(let mark, let generation):
                try log.reset(to: mark, generation: generation.rawValue)
                reset(mark, generation)
            case .markClean: try mark(&log)
            case .wait, .report, .fail, .end: break
            }
        } catch {
            failed(error)
        }
    }

    private mutating func compact<D: Disk>(
        _ log: inout SegmentedLog<D>, through index: LogIndex
    ) {
        do throws(LogError) {
            try log.compact(asFarAs: index)
            compacted(log.state.base, nil)
        } catch {
            compacted(log.state.base, error)
        }
    }

    private mutating func mark<D: Disk>(_ log: inout SegmentedLog<D>) throws(LogError) {
        do throws(LogError) {
            try log.markClean()
        } catch {
            guard !error.isFatal else { throw error }
        }
        marked()
    }
}
