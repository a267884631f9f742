import PluginABI

/// The host's name, version and limits, for plugins that ask: the table of `rqd.host-info/1`.
///
/// `@unchecked Sendable`: what the pointers lead to does not change after `init`.
final class HostInformation: @unchecked Sendable {
    let table: UnsafeMutablePointer<rqd_host_info>
    private let texts: UnsafeMutableBufferPointer<CChar>
    private static let name = "rqlited"

    init(version: String) {
        let bytes = (Self.name + version).utf8.map { CChar(bitPattern: $0) }
        texts = .allocate(capacity: bytes.count)
        _ = texts.initialize(from: bytes)
        let count = Self.name.utf8.count
        table = .allocate(capacity: 1)
        table.initialize(
            to: rqd_host_info(
                size: UInt32(MemoryLayout<rqd_host_info>.size), abi_minor: RQD_ABI_MINOR,
                name: rqd_text(data: texts.baseAddress, length: UInt64(count)),
                version: rqd_text(
                    data: texts.baseAddress.map { $0 + count },
                    length: UInt64(bytes.count - count)),
                limit: { _, which in HostInformation.limit(which) }))
    }

    deinit {
        table.deallocate()
        texts.deallocate()
    }

    private static func limit(_ which: UInt32) -> UInt64 {
        switch which {
        case RQD_LIMIT_VALUE: UInt64(RQD_MAX_VALUE)
        case RQD_LIMIT_ADDRESSES: UInt64(RQD_MAX_ADDRESSES)
        case RQD_LIMIT_RECORDS: UInt64(RQD_MAX_RECORDS)
        case RQD_LIMIT_PAGED: UInt64(DiscoveryLimits.recordsInPages)
        case RQD_LIMIT_STACK: UInt64(DiscoveryLimits.threadStackBytes)
        default: 0
        }
    }
}
