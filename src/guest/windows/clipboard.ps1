# The clipboard's text, with the line ends of everybody else; nothing where it holds none. 5: it cannot be opened.
foreach ($i in 1..10) {
    try {
        $text = Get-Clipboard -Raw -Format Text
        if ($null -ne $text) { $mosdat_out.Write(([string]$text).Replace("`r`n", "`n")) }
        exit 0
    } catch {
        # Another program has it open.
        $why = $_.Exception.GetBaseException().Message
        Start-Sleep -Milliseconds 100
    }
}
$mosdat_err.WriteLine($why)
exit 5
