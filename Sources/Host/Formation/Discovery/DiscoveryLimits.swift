import PluginABI

/// Bounds of this module that are not in the plugins' header.
enum DiscoveryLimits {
    /// Program headers of a plugin's file; common objects have about ten.
    static let programHeaders = 256
    /// Bytes of one note segment.
    static let noteSegmentBytes = 64 << 10
    /// Files looked at in one directory.
    static let filesInDirectory = 1024
    /// Records of one list that comes in pages.
    static let recordsInPages = 65_536
    /// Bytes of those together.
    static let bytesInPages = 64 << 20
    /// Calls that wait for one instance.
    static let waitingCalls = 64
    /// Lines a plugin may log in one second; the rest is counted.
    static let logLinesPerSecond = 50
    /// Nesting of a plugin's description.
    static let describeDepth = 16
    /// Stack of a plugin's thread: what libcurl and resolvers need, many times over.
    static let threadStackBytes = 1 << 20
    /// Abandoned instances after which a mode is off.
    static let strikes = 3
}
