import Synchronization

/// Of what there is a budget in which clients have shares.
enum BudgetItem: CaseIterable, Sendable {
    case connections
    case furtherStreams
    case bodyBytes
    case uploads
    case requests
    case answerBytes
}

/// What one client has in use of the budgets, however many connections it has. Thread-safe.
final class ClientAccount: Sendable {
    /// Tells clients from each other; no two have the same, not even one after the other.
    let number: Int
    private let connections = Atomic<Int>(0)
    private let furtherStreams = Atomic<Int>(0)
    private let bodyBytes = Atomic<Int>(0)
    private let uploads = Atomic<Int>(0)
    private let requests = Atomic<Int>(0)
    private let answerBytes = Atomic<Int>(0)

    init(number: Int) { self.number = number }

    /// - Parameter count: negative for what goes back.
    /// - Returns: what it has now.
    @discardableResult
    func add(_ count: Int, _ item: BudgetItem) -> Int {
        switch item {
        case .connections: connections.add(count, ordering: .relaxed).newValue
        case .furtherStreams: furtherStreams.add(count, ordering: .relaxed).newValue
        case .bodyBytes: bodyBytes.add(count, ordering: .relaxed).newValue
        case .uploads: uploads.add(count, ordering: .relaxed).newValue
        case .requests: requests.add(count, ordering: .relaxed).newValue
        case .answerBytes: answerBytes.add(count, ordering: .relaxed).newValue
        }
    }
}
