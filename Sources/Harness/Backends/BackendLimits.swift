/// Bounds of the fake servers.
enum BackendLimits {
    /// Connections at one time; further ones are closed at once.
    static let connections = 256
    static let backlog: Int32 = 128
    static let headBytes = 64 << 10
    static let bodyBytes = 1 << 20
    /// Between two bytes of an answer that dribbles.
    static let dribbleMilliseconds: Int32 = 100
    /// What `giant` sends in all before it gives up: far more than any plugin may keep.
    static let giantBytes = 256 << 20
    /// How often something that waits looks whether it is still wanted.
    static let tickMilliseconds: Int32 = 50
    /// Records in a store.
    static let records = 4096
    static let threadStackBytes = 512 << 10
}
