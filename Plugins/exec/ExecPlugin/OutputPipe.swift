import CSpawn
import Glibc
import PluginABI
import PluginSupport

/// A pipe that a child writes to. Both ends close with it.
final class OutputPipe {
    let reading: Int32
    private(set) var writing: Int32

    init() throws(CallFailure) {
        var ends: [Int32] = [-1, -1]
        guard rqd_pipe(&ends) == 0 else {
            throw CallFailure(
                RQD_UNAVAILABLE, "no pipe can be had: \(String(cString: strerror(errno)))")
        }
        // The child's end blocks, as programs expect.
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        close(reading)
        closeWriting()
    }

    /// In this process; the child has its own.
    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// Appends what is there. False at the end.
    func read(into bytes: inout [UInt8]) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            let count = Glibc.read(reading, buffer.baseAddress, buffer.count)
            if count > 0 { bytes.append(contentsOf: buffer[..<count]) }
            return count > 0 || count < 0 && (errno == EAGAIN || errno == EINTR)
        }
    }
}
