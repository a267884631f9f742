import Foundation

/// What `scripts/install` laid down for these tests.
enum Installation {
    /// Its prefix as it lies there; scripts/test makes it and says where it is.
    static let prefix = ProcessInfo.processInfo.environment["RQLITED_PREFIX"]

    static let hindrance: String? =
        prefix == nil ? "RQLITED_PREFIX names no installation; scripts/test makes one" : nil
}
