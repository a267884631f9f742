import Raft
import Service
import Wire

/// What things take on the wire at most, without encoding them: queues are bounded by it, and
/// what is too large for a frame is refused before it is encoded.
extension Message {
    var approximateSize: Int {
        // Cluster, two names with incarnations, term, kind and the largest fixed body.
        var size = Frame.headerSize + 128 + from.id.rawValue.utf8.count + to.rawValue.utf8.count
        if case .appendEntries(let append) = body {
            for entry in append.entries { size += entry.size }
        }
        return size
    }
}

extension ClientRequest {
    var approximateSize: Int {
        var size = Frame.headerSize + 256
        let command: Command
        switch operation {
        case .load(let image), .boot(let image): return size + image.packed.count
        case .loadPart(let part, _): return size + part.bytes.count
        case .command(let carried, _), .loadDump(let carried): command = carried
        default: return size
        }
        for statement in command.statements {
            size += 12 + statement.sql.utf8.count
            for value in statement.positional { size += value.approximateSize }
            for named in statement.named {
                size += 4 + named.name.utf8.count + named.value.approximateSize
            }
        }
        return size
    }
}

extension Reply {
    var approximateSize: Int {
        var size = Frame.headerSize + 1024 + (servedBy?.rawValue.utf8.count ?? 0)
        if case .part(let part) = outcome { return size + part.byteCount }
        guard case .results(let result) = outcome else { return size }
        size += result.error?.utf8.count ?? 0
        for statement in result.statements {
            size += 32
            switch statement.outcome {
            case .rows(let rows):
                size += rows.cells.count
                for name in rows.columns { size += 4 + name.utf8.count }
                for type in rows.types { size += 4 + type.utf8.count }
            case .failed(let message): size += message.utf8.count
            case .changed, .empty: break
            }
        }
        return size
    }
}

extension Value {
    fileprivate var approximateSize: Int {
        switch self {
        case .null, .integer, .real: 9
        case .text(let text): 5 + text.utf8.count
        case .blob(let bytes): 5 + bytes.count
        }
    }
}
