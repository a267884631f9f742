internal import CRemote

/// The system's libraries that storages need, and that nothing else of the daemon does.
package enum StorageLibraries {
    /// - Throws: where they are not there.
    package static func require() throws(StorageFault) {
        guard let cause = cremote_unavailable() else { return }
        throw StorageFault(
            "-auto-backup and -auto-restore need libcurl and libcrypto (Debian's libcurl4): "
                + String(cString: cause))
    }
}
