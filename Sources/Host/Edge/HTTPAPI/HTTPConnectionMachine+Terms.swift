/// What the machine is told, and what it says.
extension HTTPConnectionMachine {
    /// Names a request and its answer on this connection.
    struct ExchangeID: Hashable, Comparable {
        let number: Int
        static func < (a: Self, b: Self) -> Bool { a.number < b.number }
    }

    /// What becomes of a request.
    enum Plan {
        /// Known from the head.
        case answer(Answer)
        /// To be worked out from head and body.
        case work
    }

    /// What the machine must know of a request's head.
    struct Head {
        var framing = ResponseFraming()
        var plan: Plan
        /// Bytes of body that are taken at most.
        var bodyLimit: Int
        /// The body is taken in parts, while it comes: so many bytes of it may have come that were
        /// not taken yet, then nothing more is read. Nil: it is taken whole, at its end.
        var bodyWindow: Int?
        /// Bytes of body the client announced; nil: it comes in chunks, or there is none.
        var announcedBody: Int?
        /// The client holds its body back until it is told to go on.
        var expectsContinue = false
    }

    /// What is to be done, in this order.
    enum Effect {
        /// The request's body is complete: begin to work on it.
        case work(ExchangeID)
        /// Write an answer that is complete.
        case write(Answer, ResponseFraming)
        case refuse(HTTPRefusal, ResponseFraming)
        /// Write the head of an answer in slices.
        case begin(Answer, ResponseFraming)
        /// Make the next slice and write it, then call `sliced`.
        case slice
        case writeContinue
        /// Call `goOn` in a later turn of the event loop.
        case goOnLater
        /// Nobody waits for these any more.
        case cancel([ExchangeID])
        /// Close when all is written; a client that may still be sending gets time to read.
        case closeWhenWritten(lingers: Bool)
        /// Close at once.
        case close(HTTPConnectionEnd)
    }
}

extension HTTPConnectionMachine.Plan: Equatable where Answer: Equatable {}
extension HTTPConnectionMachine.Effect: Equatable where Answer: Equatable {}
