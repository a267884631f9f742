import Cluster
import Raft
import Registry

/// One line each, for histories and transcripts.
extension RegistrySimulation.Effect {
    var summary: String {
        switch self {
        case .formation(let effect): effect.summary
        case .keeper(let effect): effect.summary
        }
    }
}

extension RegistryRequest {
    var summary: String {
        switch self {
        case .read(let name): "read \(name)"
        case .list(let prefix): "list \(prefix)"
        case .erase(let name, let revision): "erase \(name) if at \(revision)"
        case .write(let name, let value, let expected):
            "write \(name) if \(expected.map { "at \($0)" } ?? "absent"): "
                + String(decoding: value, as: UTF8.self)
        }
    }
}

extension RegistryAnswer {
    var summary: String {
        switch self {
        case .record(nil): "none"
        case .record(let record?): record.summary
        case .records(let records):
            records.isEmpty ? "none" : records.map(\.summary).joined(separator: " ")
        case .written(let revision): "written at \(revision)"
        case .conflict: "conflict"
        case .erased: "erased"
        case .failed(let failure): "failed (\(failure.kind)): \(failure)"
        }
    }
}

extension StoredRecord {
    var summary: String { "\(name) at \(revision): " + String(decoding: value, as: UTF8.self) }
}

extension RegistryFormationEffect {
    var summary: String {
        switch self {
        case .ask(let request, _, let timeout): "\(request.summary) within \(timeout)"
        case .sendHello(let address): "hello \(address)"
        case .attemptJoin(let address): "join via \(address)"
        case .persist(let bytes, let ticket): "persist \(ticket.rawValue): \(text(of: bytes))"
        case .start(let value, let campaign):
            "start \(value.cluster) of \(value.members.map(\.id.rawValue))"
                + (campaign ? " and campaign" : "")
        case .joined(let cluster): "joined \(cluster)"
        case .waiting(let text): "waiting: \(text)"
        case .notice(let text): "notice: \(text)"
        case .refused(let refusal): "refused: \(refusal)"
        case .fatal(let text): "fatal: \(text)"
        case .gaveUp(let text): "gave up: \(text)"
        }
    }

    private func text(of bytes: [UInt8]) -> String {
        guard let state = try? RegistryState(decoding: bytes) else { return "unreadable" }
        if let claim = state.claim {
            return "claim \(claim.value.cluster) of \(claim.value.members.map(\.id.rawValue))"
        }
        return state.founding.map { "founding \($0.cluster)" } ?? "no claim"
    }
}

extension RegistryKeeperEffect {
    var summary: String {
        switch self {
        case .ask(let request, _, let timeout): "\(request.summary) within \(timeout)"
        case .candidates(let addresses): "candidates \(addresses)"
        case .published(let entry): "published \(entry.id) at \(entry.address), term \(entry.term)"
        case .restored(let entry): "restored \(entry.id) at \(entry.address), term \(entry.term)"
        case .erased(let name): "erased \(name)"
        case .raised(let alarm): "alarm: \(alarm)"
        case .resolved(let alarm): "resolved: \(alarm)"
        case .nodeRecordsOff(let text): "records of nodes are off: \(text)"
        case .failing(let text): "failing: \(text)"
        case .working: "working"
        }
    }
}
