# Prints at most $env:most bytes of what was written to a file since it was looked at ($mosdat_input). 3: not there; 4: there
# and no file; 6: there, and what in it is new nobody knows.
$path = $env:file
if ($path -match '^~[\\/]') { $path = Join-Path (mosdat_home $env:user) $path.Substring(2) }
$path = [System.IO.Path]::GetFullPath($path)
if (-not (Test-Path -LiteralPath $path)) { exit 3 }
if (-not (Test-Path -LiteralPath $path -PathType Leaf)) {
    $mosdat_err.WriteLine("$path is no regular file")
    exit 4
}
$made = [System.IO.File]::GetCreationTimeUtc($path).Ticks
$stream = mosdat_open $path
$now = $stream.Length
$mark = $null
$begin = [long]0
foreach ($line in $mosdat_input -split "`r?`n") {
    $size, $was, $sum, $known = $line -split ' ', 4
    if ($size -eq 'begin') { $begin = [long]$was }
    if ($known -ne $path) { continue }
    $mark = [long]0
    $size = [long]$size
    if ($size -gt 0 -and $now -ge $size -and "$made" -eq $was -and (mosdat_sum $stream $size) -eq $sum) { $mark = $size }
}
if ($null -eq $mark) {
    if ($begin -eq 0) {
        exit 6
    } elseif ($made -gt $begin) {
        $mark = [long]0
    } elseif ([System.IO.File]::GetLastWriteTimeUtc($path).Ticks -lt $begin) {
        $mark = $now
    } else {
        exit 6
    }
}
# The mark of the encoding is at the beginning, whatever is read.
[void]$stream.Seek(0, 'Begin')
$head = New-Object byte[] -ArgumentList 2
$wide = $stream.Read($head, 0, 2) -eq 2 -and $head[0] -eq 0xFF -and $head[1] -eq 0xFE
[void]$stream.Seek($mark, 'Begin')
$encoding = $mosdat_utf8
if ($wide) { $encoding = [System.Text.Encoding]::Unicode }
$reader = New-Object System.IO.StreamReader -ArgumentList $stream, $encoding, ($mark -eq 0)
$most = [int]$env:most
$letters = New-Object char[] -ArgumentList $most
$count = $reader.ReadBlock($letters, 0, $most)
$bytes = $mosdat_utf8.GetBytes($letters, 0, $count)
$mosdat_out.BaseStream.Write($bytes, 0, [math]::Min($bytes.Length, $most))
$mosdat_out.BaseStream.Flush()
exit 0
