/* A driver for pcscd (IFD handler 3.0) that passes all it is asked to a simulated reader on a Unix socket, escape
 * commands included, which vsmartcard's virtual reader does not. Written from pcsc-lite's ifdhandler.h.
 *
 * A request is a letter, two bytes of length and the data: P power (1 is off), T transmit, E escape, C is there a card.
 * The answer is two bytes of length and the data; the length 0xffff is a failure. A closed socket is an unplugged reader. */

#include <PCSC/ifdhandler.h>
#include <PCSC/reader.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FAILED 0xffff
#define GONE 0x10000

static int line = -1;
static UCHAR atr[MAX_ATR_SIZE];
static DWORD atr_size;

static int whole(ssize_t (*move)(int, void *, size_t), UCHAR *data, size_t size) {
    while (size > 0) {
        ssize_t moved = move(line, data, size);
        if (moved <= 0) return 0;
        data += moved, size -= moved;
    }
    return 1;
}

static ssize_t put(int file, void *data, size_t size) { return send(file, data, size, MSG_NOSIGNAL); }
static ssize_t get(int file, void *data, size_t size) { return recv(file, data, size, 0); }

/* The answer's size, or FAILED, or GONE. */
static DWORD ask(char what, const UCHAR *data, DWORD size, UCHAR *answer, DWORD room) {
    UCHAR message[3 + 65536] = {what, size >> 8, size}, head[2];
    memcpy(message + 3, data, size);
    if (!whole(put, message, 3 + size) || !whole(get, head, 2)) return GONE;
    DWORD found = head[0] << 8 | head[1];
    if (found == FAILED || found > room) return FAILED;
    return whole(get, answer, found) ? found : GONE;
}

/* What pcscd is told: `failed` stands for FAILED. */
static RESPONSECODE result(DWORD found, RESPONSECODE failed) {
    return found == GONE ? IFD_NO_SUCH_DEVICE : found == FAILED ? failed : IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannelByName(DWORD lun, LPSTR name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, name, sizeof address.sun_path - 1);
    line = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(line, (struct sockaddr *)&address, sizeof address) ? IFD_COMMUNICATION_ERROR : IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannel(DWORD lun, DWORD channel) { return IFD_NOT_SUPPORTED; }

RESPONSECODE IFDHCloseChannel(DWORD lun) { return close(line) ? IFD_COMMUNICATION_ERROR : IFD_SUCCESS; }

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD size, PUCHAR value) {
    if (tag == TAG_IFD_SLOTS_NUMBER && *size >= 1) return *size = 1, *value = 1, IFD_SUCCESS;
    if ((tag != TAG_IFD_ATR && tag != SCARD_ATTR_ATR_STRING) || *size < atr_size) return IFD_ERROR_TAG;
    *size = atr_size;
    memcpy(value, atr, atr_size);
    return IFD_SUCCESS;
}

RESPONSECODE IFDHSetCapabilities(DWORD lun, DWORD tag, DWORD size, PUCHAR value) { return IFD_ERROR_TAG; }

RESPONSECODE IFDHSetProtocolParameters(DWORD lun, DWORD protocol, UCHAR flags, UCHAR a, UCHAR b, UCHAR c) {
    return IFD_SUCCESS;
}

RESPONSECODE IFDHPowerICC(DWORD lun, DWORD action, PUCHAR value, PDWORD size) {
    UCHAR off = action == IFD_POWER_DOWN;
    DWORD found = ask('P', &off, 1, atr, sizeof atr);
    *size = atr_size = found < FAILED ? found : 0;
    memcpy(value, atr, atr_size);
    return result(found, IFD_ERROR_POWER_ACTION);
}

RESPONSECODE IFDHTransmitToICC(DWORD lun, SCARD_IO_HEADER sent, PUCHAR data, DWORD size, PUCHAR answer, PDWORD room,
                               PSCARD_IO_HEADER received) {
    DWORD found = ask('T', data, size, answer, *room);
    *room = found < FAILED ? found : 0;
    return result(found, IFD_COMMUNICATION_ERROR);
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, PUCHAR data, DWORD size, PUCHAR answer, DWORD room, LPDWORD found) {
    DWORD size_found = code == SCARD_CTL_CODE(1) ? ask('E', data, size, answer, room) : FAILED;
    *found = size_found < FAILED ? size_found : 0;
    return result(size_found, IFD_ERROR_NOT_SUPPORTED);
}

RESPONSECODE IFDHICCPresence(DWORD lun) {
    UCHAR nothing = 0;
    RESPONSECODE found = result(ask('C', &nothing, 0, &nothing, 0), IFD_ICC_NOT_PRESENT);
    return found == IFD_SUCCESS ? IFD_ICC_PRESENT : found;
}
