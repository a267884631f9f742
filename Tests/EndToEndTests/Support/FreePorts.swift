import ServerTesting

/// Ports of the loopback interface that are free now, and that nobody takes before the node that they are for does.
func freePorts(_ count: Int, host: String = "127.0.0.1") throws -> [Int] {
    try FreePorts.take(count, host: host)
}
