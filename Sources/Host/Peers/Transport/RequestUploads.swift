import NIOCore
import Wire

/// Large requests on their way out of one connection, piece by piece. Each is announced, and sent as far
/// as the other node asks for it; they take turns, so that none waits for the end of another. To a node
/// that takes no parts each goes as one frame. A value of one connection: it knows numbers and bytes, and
/// whoever owns it writes.
struct RequestUploads {
    /// What goes out next.
    enum Piece: Equatable {
        /// So many bytes will come.
        case announcement(UInt64, bytes: Int)
        case part(UInt64, ByteBuffer, isLast: Bool)
        /// All in one frame, its header included.
        case frame(UInt64, ByteBuffer)
    }

    private struct Upload {
        let number: UInt64
        /// What was not sent; with the frame's header while nothing was announced.
        var rest: ByteBuffer
        var isAnnounced = false
        /// Bytes that the other node has asked for and not got.
        var credit = 0
    }

    /// Whose turn it is comes first.
    private var uploads: [Upload] = []
    /// Of all that is kept here.
    private(set) var byteCount = 0

    /// - Parameter frame: the whole request, as a frame.
    mutating func add(_ number: UInt64, _ frame: ByteBuffer) {
        uploads.append(Upload(number: number, rest: frame))
        byteCount += frame.readableBytes
    }

    /// The other node asks for more. What is said of others than those here is not heard.
    mutating func granted(_ number: UInt64, _ bytes: Int) {
        guard let place = uploads.firstIndex(where: { $0.number == number }),
            uploads[place].isAnnounced
        else { return }
        // Nobody has use for more than there is.
        let most = uploads[place].rest.readableBytes
        uploads[place].credit = min(most, uploads[place].credit + min(most, max(0, bytes)))
    }

    /// Nothing more of it goes out.
    mutating func end(_ number: UInt64) {
        guard let place = uploads.firstIndex(where: { $0.number == number }) else { return }
        byteCount -= uploads.remove(at: place).rest.readableBytes
    }

    /// - Parameters:
    ///   - limit: of a part, in bytes; above 0.
    ///   - inParts: whether the other node takes parts.
    /// - Returns: nil if nothing may go out now.
    mutating func next(atMost limit: Int, inParts: Bool) -> Piece? {
        guard
            let place = uploads.firstIndex(where: {
                !inParts || !$0.isAnnounced || $0.credit > 0
            })
        else { return nil }
        var upload = uploads.remove(at: place)
        guard inParts else {
            byteCount -= upload.rest.readableBytes
            return .frame(upload.number, upload.rest)
        }
        guard upload.isAnnounced else {
            upload.isAnnounced = true
            upload.rest.moveReaderIndex(forwardBy: Frame.headerSize)
            byteCount -= Frame.headerSize
            uploads.append(upload)
            return .announcement(upload.number, bytes: upload.rest.readableBytes)
        }
        let count = min(limit, upload.credit, upload.rest.readableBytes)
        guard let part = upload.rest.readSlice(length: count) else { return nil }
        upload.credit -= count
        byteCount -= count
        let isLast = upload.rest.readableBytes == 0
        if !isLast { uploads.append(upload) }
        return .part(upload.number, part, isLast: isLast)
    }
}

extension ByteWriter {
    /// - Precondition: the piece is not a frame by itself.
    mutating func write(_ piece: RequestUploads.Piece) {
        switch piece {
        case .announcement(let number, let bytes):
            writeFrame(.announcement) {
                $0.write(number)
                $0.write(UInt32(clamping: bytes))
            }
        case .part(let number, let part, _):
            writeFrame(.requestPart) {
                $0.write(number)
                $0.writeRaw(Array(part.readableBytesView))
            }
        case .frame: preconditionFailure("a whole frame is written as it is")
        }
    }
}
