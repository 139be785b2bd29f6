# Whether the program of the folder $env:dir runs: `running`, or `ended CODE` with the ends of its outputs.
function mosdat_tail($name, $to) {
    $stream = [System.IO.File]::Open("$env:dir\$name", 'Open', 'Read', 'ReadWrite, Delete')
    $most = [int]$env:tail
    if ($stream.Length -gt $most) { [void]$stream.Seek(-$most, 'End') }
    $stream.CopyTo($to.BaseStream)
    $to.BaseStream.Flush()
    $stream.Close()
}
if (-not (Test-Path -LiteralPath $env:dir)) { exit 3 }
if (-not (Test-Path -LiteralPath "$env:dir\exit")) {
    if (Get-Process -Id ([int]$env:pid_of) -ErrorAction SilentlyContinue) {
        'running'
        exit 0
    }
    # The one who waits for it has a moment to say so, after what is left in the pipes.
    foreach ($i in 1..30) {
        if (Test-Path -LiteralPath "$env:dir\exit") { break }
        Start-Sleep -Milliseconds 100
    }
}
if (-not (Test-Path -LiteralPath "$env:dir\exit")) { exit 4 }
$mosdat_out.WriteLine("ended $([System.IO.File]::ReadAllText("$env:dir\exit"))")
mosdat_tail 'out' $mosdat_out
mosdat_tail 'err' $mosdat_err
exit 0
