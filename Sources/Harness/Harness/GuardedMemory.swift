import Glibc
import PluginABI

/// Memory that is lent to a plugin so that misuse shows at once: it ends where a page begins that
/// nobody may touch, nobody may write to it, and once it is taken back nobody may read it.
///
/// `@unchecked Sendable`: the address is constant; protection is changed only by the owner.
final class GuardedMemory: @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private let length: Int
    private let content: UnsafeRawPointer
    private let count: Int

    /// A copy of `bytes`. Without any it is a pointer that must not be followed.
    init(_ bytes: [UInt8]) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let pages = (bytes.count + page - 1) / page + 1
        length = pages * page
        let memory = mmap(
            nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            preconditionFailure("no memory for \(bytes.count) bytes")
        }
        start = memory
        let end = memory + (length - page)
        content = UnsafeRawPointer(end - bytes.count)
        count = bytes.count
        (end - bytes.count).copyMemory(from: bytes, byteCount: bytes.count)
        protect(PROT_READ)
        mprotect(end, page, PROT_NONE)
    }

    deinit { munmap(start, length) }

    private func protect(_ protection: Int32) {
        // Without content the only page is the guard.
        if length > Int(sysconf(Int32(_SC_PAGESIZE))) {
            mprotect(start, length - Int(sysconf(Int32(_SC_PAGESIZE))), protection)
        }
    }

    /// From now on every access is a crash.
    func takeBack() { protect(PROT_NONE) }

    var text: rqd_text {
        rqd_text(data: content.assumingMemoryBound(to: CChar.self), length: UInt64(count))
    }

    var bytes: rqd_bytes {
        rqd_bytes(data: content.assumingMemoryBound(to: UInt8.self), length: UInt64(count))
    }
}
