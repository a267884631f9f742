import Synchronization

/// Numbers for the names and subnets of networks that tests make. Never the same twice in a run, for the
/// kernel takes a network down some time after it was deleted; the first is left to chance, for other runs
/// beside this one.
enum NetworkNumber {
    private static let last = Atomic(Int.random(in: 0..<200))

    /// - Returns: a number below 200.
    static func next() -> Int {
        last.add(1, ordering: .relaxed).newValue % 200
    }
}
