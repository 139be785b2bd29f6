# A checksum of the end of what was in a file when it had so many bytes.
function mosdat_sum($stream, $size) {
    $from = [math]::Max(0, $size - 256)
    [void]$stream.Seek($from, 'Begin')
    $bytes = New-Object byte[] -ArgumentList ([int]($size - $from))
    $count = $stream.Read($bytes, 0, $bytes.Length)
    $hash = [System.Security.Cryptography.SHA256]::Create().ComputeHash($bytes, 0, $count)
    [BitConverter]::ToString($hash, 0, 8)
}
function mosdat_open($path) {
    # Whoever writes it may go on.
    [System.IO.File]::Open($path, 'Open', 'Read', 'ReadWrite, Delete')
}
