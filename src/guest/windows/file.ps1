# Prints at most $env:most bytes of a file. 3: not there; 4: there, and not readable. A byte order mark tells the encoding, or
# it is UTF-8.
$path = $env:file
if ($path -match '^~[\\/]') { $path = Join-Path $env:USERPROFILE $path.Substring(2) }
if (Test-Path -LiteralPath $path -PathType Container) {
    $mosdat_err.WriteLine("$path is no regular file")
    exit 4
}
try {
    # Whoever writes it may go on.
    $stream = [System.IO.File]::Open($path, 'Open', 'Read', 'ReadWrite, Delete')
} catch [System.IO.FileNotFoundException] {
    exit 3
} catch [System.IO.DirectoryNotFoundException] {
    exit 3
} catch {
    $mosdat_err.WriteLine("$env:USERNAME may not read ${path}: $($_.Exception.GetBaseException().Message)")
    exit 4
}
$most = [int]$env:most
$reader = New-Object System.IO.StreamReader -ArgumentList $stream, $mosdat_utf8, $true
$letters = New-Object char[] -ArgumentList $most
$count = $reader.ReadBlock($letters, 0, $most)
$bytes = $mosdat_utf8.GetBytes($letters, 0, $count)
$mosdat_out.BaseStream.Write($bytes, 0, [math]::Min($bytes.Length, $most))
$mosdat_out.BaseStream.Flush()
exit 0
